// Package maildir is Maildir and Maildir++: a directory with one file for each
// message, as Dovecot, Courier, mutt and mbsync have it. The original does not
// know it.
//
// # Layout
//
//	tmp/                 messages that are being written
//	new/NAME             messages that nobody has seen
//	cur/NAME:2,FLAGS     messages that somebody has
//	dovecot-uidlist      UIDs, version 3 of Dovecot's:
//	                       3 Vuidvalidity Nuidnext Gguid
//	                       uid [extension]... :NAME
//	dovecot-uidlist.lock lock of it
//	dovecot-keywords     names of the keyword letters: slot and name
//	mailutil-pending     ours: a change of several messages under way
//	courierimapuiddb, courierimapkeywords/, .uidvalidity
//	                     UIDs and keywords of Courier and mbsync, read where
//	                     Dovecot's files are not there, never written
//	.A.B/                subfolder A/B, with an empty file maildirfolder
//
// A NAME is SECONDS.UNIQUE.HOST,S=n,W=n with the octets of the file and those of
// the message with CRLF line ends. FLAGS are, in this order, D(raft) F(lagged)
// R(eplied, Answered) S(een) T(rashed, Deleted), and a to z for keywords. P and
// all other letters, and what follows a comma, stay as they are and mean
// nothing, as with Dovecot.
//
// Lines end in LF in the files; those that end in CRLF are read as well. A bare
// CR, and a CR before CRLF, are kept; a bare LF becomes a line end. Texts
// without a final newline stay so. The internal date is the modification time
// of the file: seconds, without a zone, in UTC. One of 0 is taken for lost, and
// that in the name counts.
//
// # Names of subfolders
//
// A name is the path of a Maildir. Where nothing has that path, and a directory
// above it is a Maildir, the rest of the name are the levels of a subfolder:
// with a Maildir at ~/Maildir, the name Maildir/A/B is ~/Maildir/.A.B, and so
// are Maildir/.A/B and Maildir/.A.B. A new mailbox there is a Maildir, unless
// another format is asked for. A level cannot have a dot. A Maildir that
// lies in another under a plain name (Dovecot's LAYOUT=fs) has plain ones below
// it, and so has a directory of another kind that does; elsewhere a Maildir is
// wherever its path says.
//
// # Recognition
//
// A directory with cur, and new or tmp: archives lose empty directories. INBOX
// is a Maildir where the configured spool (system-inbox) is one, or where there
// is no spool file, none of the files that other formats have for INBOX, and
// ~/Maildir is a Maildir.
//
// # UIDs
//
// A message that came in without a UID gets the next one from the next
// read-write session, in the order of the times in the names, and Dovecot would
// give it the same one. Until then it is recent, as is what is in new, and
// read-only sessions show it with the UID that it would get. Where the list
// cannot be read, all messages get new UIDs.
//
// # Locking
//
// dovecot-uidlist.lock, as Dovecot takes it, while UIDs are given, keywords are
// made, flags are changed, or messages are removed, and for a delivery of
// several messages. Sessions hold nothing, so that any number may be open, and a
// mailbox that is open can be deleted or renamed. A delivery of one message
// takes no lock. Messages that other programs rename or remove meanwhile are
// found again by their bases, or seen to be gone.
//
// # Writing
//
// A message is written into tmp and synced; many are written before the first
// is waited for. Then it gets its name, in new, or in cur where it has flags, by
// one rename, and the directory is synced, once for the whole delivery. Only
// after that does Commit return. Messages of a new mailbox, which nobody sees,
// have their names at once.
//
// A message that is copied from another Maildir is not written anew, but its file
// gets a second name, where a new file would be the same: on one file system, with
// the owner, the group and the mode of those that are written (of which the first
// message of a delivery is one), with the time that is the date, with right S=,
// neither packed nor a symbolic link, into a directory without a default access
// control list. Where that cannot be, for whatever reason, it is written. That is
// safe as nobody ever writes to a message, and flags are in the name: all that
// the two have in common is the text and the date. Who delivered the message need
// not have synced it; so we do.
//
// A change of several messages (a delivery, an expunge, flags) writes a list of
// its renames and removals first. What a power cut leaves:
//
//	before the list is durable   the old mailbox; files in tmp, which go when
//	                             they are 36 hours old
//	after that                   other programs see some messages changed and
//	                             others not; whoever of ours opens the mailbox
//	                             next, for whatever, finishes the change first
//	once all is carried out      the new mailbox
//
// Somebody who removes files of tmp meanwhile removes the rest of a delivery
// that was never reported to be done. A change that fails is taken back; one
// that cannot be, is finished later, and its error says so.
//
// Lists of UIDs grow by append, and are replaced when a quarter of their lines
// are of messages that are gone, or lines cannot be read. Fields of theirs that
// are unknown stay. Keywords are replaced before the first name bears a new
// letter; those of Courier are turned into letters, all at once, when the first
// is to be changed. A new mailbox is written as .NAME.new, published by one
// rename when whole. A mailbox that is deleted goes by one rename, to .NAME.gone,
// first; one that has subfolders or files that are no part of it stays.
// Subscriptions, quota files and Dovecot's caches are left alone: it notices.
//
// # Tolerated
//
// Missing new or tmp. Lists with lines that are torn, out of order, or twice.
// Two messages of one base: both are shown, and one gets a new name. Wrong S= and
// W=: the file is counted. Names without info, with ":1,", with flags out of
// order. Files whose names begin with a dot or a colon are not messages.
//
// # Refused
//
// A 27th keyword (Store: ErrUnsupported; Append: counted). Deleting and renaming
// INBOX. Subfolders whose names have dots. Dates before 1902 and after 2097 are
// replaced by that of the arrival, and counted.
//
// # Findings of a deep check
//
// Damage: part-missing (cur, or two), list-no-file, uidlist-header,
// uidlist-line, uidlist-torn, uid-order, uid-twice, base-twice, name-twice,
// size-wrong, unreadable, pending. Doubt: part-missing, tmp-stale, lock-left,
// keywords-line, keyword-unknown, info-bad, empty, no-date, foreign. All with
// "maildir." before.
//
// # Repair
//
// Under the lock of the list of UIDs. Texts are not written to. Names get flags
// in order and right sizes; lists are written anew of what can be read of them,
// line by line, also where line ends are lost; what stands out of order keeps its
// UID where the times in the names say that it fits, and a line without a UID
// gets the one that is free where it stands, if it is the only one. What is no
// message goes to where the original is kept. The renames, the removals and the
// new lists are one change (mailutil-pending), as a delivery of several messages
// is. A repair also puts right what is but a doubt for a check: bad flags, stale
// files in tmp, lines of keywords, what is no message.
package maildir
