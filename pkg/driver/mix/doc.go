// Package mix is the mix mailbox format of the original (the UW IMAP toolkit),
// on disk as it writes and reads it: a directory with an index, the flags, and
// files that hold many messages each.
//
// # Layout
//
// A directory is a mailbox when it has a regular file .mixmeta. The names that
// begin with .mix belong to it; all others are children, so that a name may be
// a mailbox and have others below it. INBOX is ~/INBOX. Numbers are hexadecimal,
// 8 digits as written, any number of them as read. Lines end in CR LF.
//
//	.mixmeta      S6b03b917            sequence
//	              V6b03b909            UIDVALIDITY
//	              L00000006            UIDLAST, the highest UID ever given
//	              N6b03b909            the data file that takes new mail
//	              K$Forwarded Work     keywords, slot n is bit n; only if there are some
//	.mixindex     S6b03b914
//	              :00000001:20240102030405+0100:0000009d:6b03b909:00000000:0000002d:00000091:
//	               UID      date                size     file     offset   line     header
//	.mixstatus    S6b03b917
//	              :00000001:00000000:0011:6b03b90b:
//	               UID      keywords flags sequence of the last change
//	.mix6b03b909  :msg:00000001:20240102030405+0100:0000009d: and SIZE octets of text,
//	              again and again, with nothing in between; .mix alone is number 0
//
// Flags are 01 Seen, 02 Deleted, 04 Flagged, 08 Answered, 10 old (not recent),
// 20 Draft. Texts are kept as they were given. A record of the index is 77
// octets, one of the status 35, the line in front of a message 45.
//
// # Sequences
//
// Each of the three files has one of its own, by which readers see that it
// changed. What we write gets one above all three.
//
// # Locks
//
// All are flock(2), taken in this order, on the files themselves.
//
//	              metadata         index      status
//	open          shared, kept     exclusive  exclusive  for writing, as it may reclaim
//	read-only     shared, kept     shared     shared
//	Store         kept             shared     exclusive  index exclusive to create keywords
//	append        shared, kept     exclusive  exclusive
//	move octets   exclusive, tried exclusive  exclusive
//	delete        exclusive, tried exclusive  exclusive  rename as well
//
// Who has the metadata shared knows that nobody moves messages. It is raised
// only by who has the index exclusively, and without waiting.
//
// # What is written
//
//	new mail      append: the records of the index first, behind a NUL, where
//	              the index ends for us and for the original; then the texts,
//	              UIDLAST, the flags; when all is durable the NUL becomes the
//	              colon that it should be. One octet makes all of it count.
//	flags         patch of the records in the status file; each digit is old or
//	              new after a power cut
//	new keywords  replace of the metadata through a journal, durable before a
//	              message bears one
//	expunge       replace of the index through a journal, in place, then of the
//	              status; where nobody else has the mailbox open, what stays of
//	              a data file is copied to a new one before that, and the old one
//	              goes after it: no text is ever written over
//	new mailbox   a hidden directory .NAME.new, which gets its name; in a
//	              directory that exists the files are linked, the metadata last
//	delete        a mark, the metadata, then the rest: who finds the mark
//	              without metadata clears up
//	repair        a directory .mixrepairing within that of the mailbox, which
//	              becomes .mixrepair when all of the result is in it, durably;
//	              that decides. Then the files take their places, data first,
//	              the metadata last; who finds the directory goes on with it,
//	              unless the mailbox is not what was repaired any more
//
// A data file takes mail up to 1 MiB, then a new one does. One delivery fills a
// file up to 16 MiB.
//
// # What is tolerated
//
// All that the original reads: index and status with bare LF, empty lines,
// records that are longer or written in another way, messages that are listed
// twice, a message that ends within the next or behind the end of its file (it
// is made shorter for the session, with the original's warning), messages
// without flags. Of a status file of which one record cannot be read only that
// record is lost, where the original loses all behind it.
//
// # What is refused
//
// Where the original stops, so do we, with its words, the file and the offset.
// A mailbox is not opened for writing, and takes no mail, when a data file has
// a whole message that the index does not list, unless it was expunged: it
// stands before messages that are listed, or the index was written after mail
// came last. The original throws such messages away when it opens the mailbox.
// Read-only it can be opened. Messages that the status knows and the index does
// not stay where they are. Octets that are no whole message, as a killed append
// of the original leaves them, are moved to .mixlost before their space is
// reclaimed.
//
// An INBOX that is open for writing takes in new mail from the spool, by an append;
// a crash may double it, never lose it.
//
// # Differences to the original
//
//   - An append creates keywords, gets its UIDs at once, and is durable.
//   - A mailbox that is created with keywords can be opened.
//   - New data files get the mode and the owner of those that are there.
//   - Reclaiming space makes new data files instead of moving texts within one.
//   - A message with a broken line in front is an error, not an empty message.
//   - A status file with a bad sequence is not written to: flags would be lost.
//   - INBOX is renamed as a whole, or copied where it has children.
//   - What deleting a mailbox left does not come back with a new one.
//
// # Findings of a deep check
//
// Damage: repair, meta-missing, meta-sequence, meta-validity, meta-uidlast,
// meta-new, meta-keywords, meta-open, meta-record, meta-size; index-missing,
// index-sequence, index-record, index-torn, index-date, uid-order, uid-twice,
// uidlast-low, header-size; data-missing, data-mode, data-short, overlap,
// token, token-uid, token-length, token-size, text-wiped, unlisted,
// unlisted-status, unlisted-other, junk; status-missing, status-sequence,
// status-record, status-torn, status-empty, status-lacking; journal. Doubt:
// validity-missing, meta-loose, keyword, keyword-twice, keyword-unnamed,
// index-loose, index-unfinished, token-date, nuls, bare-lf, status-unlisted,
// status-twice, flags-unknown, copy, expunged, lost, deleted, copy-left, stray.
// All with "mix." before.
//
// # Repair
//
// Each of index, status and data files says most of what the others say. A walk
// through the data files finds what can be messages; the records of the index
// are matched with them by UID, place, date and size, and order. A message that
// the index does not list is one of the mailbox unless the index proves that it
// was removed: it lists what is around it and has no damage there, and the
// status does not know the message. Where the index is damaged a status that is
// not proves the same.
package mix
