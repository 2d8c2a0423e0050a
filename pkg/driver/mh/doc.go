// Package mh is the format of the MH mail system and its heirs (nmh, mutt,
// claws-mail): a directory with a file for each message.
//
// # Layout
//
//	1, 2, ...       the messages, with LF line ends
//	.mh_sequences   which messages bear what
//	,2              a message that nmh has removed; not looked at
//
// The UID of a message is its number. Other programs give numbers again and
// pack them, so UIDVALIDITY is that of the session, as in the original, and
// nobody is told which UIDs a delivery got. The internal date is the
// modification time, in UTC: the moment is kept, not its zone.
//
// LF is read as CR LF, CR LF and CR as they are. What is appended has LF for CR
// LF, and keeps all other CRs; only a bare LF comes back as a line end.
//
// Each line of .mh_sequences is a sequence, "NAME: 1-3 5", as nmh writes it
// (mh-sequence(5)):
//
//	unseen           messages that are not Seen; Unseen-Sequence of the profile
//	                 may give it another name
//	flagged replied  Flagged and Answered, as mutt has them
//	deleted draft    Deleted and Draft, by analogy
//	cur              left alone
//	mailutilknown    messages that the above speaks of
//	mailutilrecent   messages that no session has seen that was open for writing
//	others           keywords; names that cannot be one, and lines that are none,
//	                 are kept
//
// The last but one are ours; programs that do not know them keep them. Whether a
// message is seen that is not in mailutilknown, or where there are no sequences,
// its access time says, as in the original: read later than written. Where there
// are sequences but not mailutilknown, another program keeps them, and what is
// not in unseen is seen. We set the times of what we append so that the original
// comes to the same; other flags it has not.
//
// # Names
//
//	#mh/NAME         below the directory of the profile or the configuration
//	#mhinbox         #mh/inbox
//	INBOX            the same, where mh-allow-inbox is configured and it exists;
//	                 both take in new mail from the spool when they are opened
//	                 for writing
//	a path           of a directory below that directory, or of one anywhere
//	                 that has a .mh_sequences
//	#driver.mh/PATH  to create one anywhere; elsewhere it gets a .mh_sequences
//	                 at once, by which it is known
//
// The directory is Path of ~/.mh_profile, below the home directory unless
// absolute, or Mail; mh-path of the configuration goes first. Without a profile
// and mh-path there are no such names, which is said once. A directory of
// numbers without sequences elsewhere is not taken for a mailbox: it may be a
// news spool, or anything.
//
// # Locks
//
// fcntl(2) on .mh_sequences, as nmh takes it by default (datalocking: fcntl):
// exclusive to write, for which the file is made, shared to read. It is held
// while directory and sequences are read or changed, never between calls. The
// original locks nothing: where it takes a number that we were about to take, our
// message gets the next.
//
// # What is written
//
//	flags         replace of .mh_sequences, in place through a journal: nmh
//	              waits for the lock of this very file
//	one message   a hidden file, synced, then its name, then the sequences; it
//	              has no flags
//	otherwise     hidden files, synced, then by a plan (package numbered): all
//	              or none, with their flags
//	expunge       by a plan, all or none; others keep their numbers
//	new mailbox   a hidden directory beside its place, which appears whole
//
// Who finds a plan or a journal that a crash left finishes it, before anything
// else. Until then other programs see some of the messages of an interrupted
// delivery, or none of an interrupted expunge.
//
// # Tolerated and refused
//
// Names of digits that have a leading zero, are above 2147483647, or are no
// file, are no messages; a deep check reports them. A message that has become
// another file since a session saw it is left alone by that session. Keywords
// that would be one of the names above, have a ":" or are digits only cannot be
// kept, which is reported. Parts of a name that are digits only are refused.
//
// # Findings of a deep check
//
// Damage: sequence-line, sequence-name, sequence-twice, stray, state-file,
// unreadable, plan, journal. Doubt: sequence-gone, leftover, empty, nuls,
// no-newline. All with "mh." before. Offsets are those in .mh_sequences.
//
// # Repair
//
// No message file is written to, and none gets another name. The sequences are
// made anew of those that can be read; two of one name become one, but nothing
// is Deleted that only one of them calls so. Where the line may be lost that
// says what is not seen, the access times say it, as for the original. Names of
// digits that are no messages go to where the original is kept (package
// numbered, Mending).
package mh
