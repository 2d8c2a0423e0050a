// Mlock makes the lock MAILBOX.lock for callers who may not make files in the
// spool directory. It is to be set-group-id mail. See man/mlock.1. All that
// it does for mail programs is in main.go, to be read from top to bottom.
//
// # Threat model
//
// The caller is any user, with any arguments, environment, descriptors, limits
// and signals. All that mlock can be made to do is to make one file NAME.lock
// beside a regular file NAME, in or below a spool directory, that the caller
// owns or has open for writing, and to remove that lock, or one that was left
// behind: of a holder that is gone, five minutes old; of any, an hour.
//
// It reads no environment, follows no symbolic link below the spool directory,
// names nothing but below a descriptor, starts nothing, and takes no signal
// but a kill, which leaves the lock until it is five minutes old. The spool
// directories are those of the program and of a file that only root can have
// written. A lock that is held for an hour is given up, whatever the caller
// does.
package main
