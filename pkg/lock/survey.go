package lock

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// A Lock is a lock that somebody has on a mailbox.
type Lock struct {
	Kind string // "dot", "fcntl", "flock", "session"
	File string // lock file, "" where the lock is on the mailbox itself
	Holder
}

// String returns "dot lock, pid 4711 (procmail) since 12 s".
func (l Lock) String() string { return fmt.Sprintf("%s lock, %s", l.Kind, l.Holder) }

// Survey says which locks there are on the mailbox at path, as far as the
// system tells: outside Linux only those that are files. It takes none.
func Survey(path string, o Options) (all []Lock) {
	name := dotName(path)
	if exists(name) {
		all = append(all, Lock{Kind: "dot", File: name, Holder: dotHolder(name)})
	}
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return all
	}
	for _, kind := range []string{"fcntl", "flock"} {
		for _, l := range kernelLocks(st) {
			if l.Kind == kind {
				all = append(all, l)
			}
		}
	}
	name = tempName(st, o.Dir)
	for _, h := range tempHolders(name) {
		all = append(all, Lock{Kind: "session", File: name, Holder: h})
	}
	return all
}

// Locked reports whether there are any locks on the mailbox at path, as Survey
// would say.
func Locked(path string, o Options) bool {
	if exists(dotName(path)) {
		return true
	}
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return false
	}
	return len(kernelLocks(st)) > 0 || len(tempHolders(tempName(st, o.Dir))) > 0
}

// Break removes the dot lock of the mailbox at path if its holder must be gone:
// by the rules by which Dot seizes. Reason says why it was. The error is a
// *BusyError where the holder may be alive, and fs.ErrNotExist where there is no
// lock.
func Break(path string, o Options) (reason string, err error) {
	name := dotName(path)
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if err := lockFile(name, st); err != nil {
		return "", err
	}
	d := dot{o: o, deadAge: deadAge}
	if reason = d.seizable(name, st, time.Now()); reason == "" {
		return "", &BusyError{Path: path, Holder: dotHolder(name)}
	}
	removed, err := remove(name, st)
	if err == nil && !removed {
		err = &BusyError{Path: path, Holder: dotHolder(name)} // a new one
	}
	return reason, err
}
