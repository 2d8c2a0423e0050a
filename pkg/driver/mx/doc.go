// Package mx is the mx format of the original (the UW IMAP toolkit): a directory
// with a file for each message, on disk exactly as it writes and reads it.
//
// # Layout
//
//	.mxindex    what is known of the messages
//	1, 2, ...   the messages; the name is the UID
//
// A message is stored octet for octet as it was given, with CRLF line ends; the
// internal date is the modification time, in UTC: the moment is kept, not its
// zone. The index is one line but for keywords, all numbers hexadecimal:
//
//	V6b03b910               UIDVALIDITY
//	L00000007               the highest UID ever given
//	K$Forwarded LF          a keyword; the n-th is bit n; at most 30
//	M00000002;00000003.000c UID, keywords, flags
//
// Flags are 0001 Seen, 0002 Deleted, 0004 Flagged, 0008 Answered, 0020 Draft,
// and 4000, which is ours: no session has had the mailbox open for writing since
// the message came. The original passes over that bit, and drops it when it
// opens the mailbox.
//
// A directory with a regular file .mxindex is of this format; it may have other
// mailboxes below. Names of digits and .mxindex are the format's own. INBOX is
// ~/INBOX.
//
// # Locks
//
// flock(2) on .mxindex: exclusive to write, shared to read, where the original
// takes the exclusive one always. It is held while index and directory are read
// or changed, never between calls, and so not while mail arrives. A session locks
// nobody out; deleting, renaming and holding cannot tell that somebody has the
// mailbox open. A delivery that finds another mailbox under the name than the one
// it was begun with fails, for the time being.
//
// # What is written
//
//	flags            patch of the last 13 octets of the record; a power cut may
//	                 leave some messages changed and others not
//	one message      a hidden file, synced; its record, an append to the index,
//	                 synced, which means nothing yet; then its name
//	several          hidden files, synced; their records; then by a plan
//	                 (package numbered): all or none
//	expunge          by a plan, all or none; the records afterwards
//	new keywords,    replace of the index, in place through a journal: others
//	odd indexes      wait for the lock of this very file
//	new mailbox      a hidden directory beside its place, which appears whole;
//	                 where a directory is there already, hidden files and a
//	                 plan, then the index, which makes it a mailbox
//
// Who finds a plan or a journal that a crash left finishes it, before anything
// else. Until then the original sees some of the messages of an interrupted
// delivery, or none of an interrupted expunge. The index never names a UID too
// low for a file that is there: then the original could not append.
//
// # What is tolerated
//
// Fields in any order and of any length, records in any order, records of
// messages that are not there, messages without a record, octets that are no
// part of an index: reading goes on at the next record, where the original
// forgets all flags that follow. Names of digits that are no number of 1 to
// 2147483647, or have a leading zero, or are no file, are no messages: the deep
// check reports them. An index of no octet, as the original creates it, has the
// UIDVALIDITY of its modification time until a session opens it for writing.
//
// # What is refused
//
// Creating a mailbox in a directory that has messages but no index: they would
// be in it. Parts of a name that are digits only. Plans that cannot be read.
//
// # Differences from the original
//
//   - Opening read-only writes nothing; opening for writing writes only what
//     has to be written.
//   - New mailboxes have their UIDVALIDITY at once.
//   - A power cut or a kill leaves nothing in the way of the next delivery.
//   - A session of the original looks for new mail only when the second in which
//     the directory was changed is another one. It may not see a message of ours
//     before it is opened again, and drop its record, and with it its flags.
//     Nothing that we could write would help.
//
// # Findings of a deep check
//
// Damage: index-missing, index-garbage, index-nuls, index-torn, index-order,
// index-twice, index-keywords, index-empty, uidvalidity, uidlast-low, stray,
// state-file, unreadable, plan, journal. Doubt: keyword, keyword-twice,
// keyword-unnamed, flags-unknown, record-gone, record-missing, leftover, empty,
// nuls, bare-lf, no-newline. All with "mx." before. Offsets are those in the
// index.
//
// # Repair
//
// No message file is written to, and none gets another name. The index is made
// anew of what can be read of it, record by record, also in part; a record whose
// UID is damaged is that of the message that lacks one where it stands. A
// directory of messages that has lost its index is known by them: they begin
// with a header whose lines end in CR LF. Names of digits that are no messages
// go to where the original is kept (package numbered, Mending).
package mx
