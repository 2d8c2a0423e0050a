// Package mailtxt is what the mtx and tenex mailbox formats of the original
// (the UW IMAP toolkit) have in common, which is nearly all: one file of
// messages, each behind a line with its date, size and flags, as MAIL.TXT was
// on Tenex and TOPS-20. A Format says in what the two differ; packages
// driver/mtx and driver/tenex describe them.
//
// # Layout
//
// Messages from the first octet to the end of the file, nothing else. Each is
// an internal line and SIZE octets of text:
//
//	14-Jul-2001 02:03:04 -0700,47;400000000021 EOL
//	date                       SIZE
//	                              keywords, 10 octal digits
//	                                        flags, 2 of them
//
// The day is padded with a blank where somebody gave the date, with a zero
// where it is the time of arrival. The first keyword is the highest of the 30
// keyword bits. Flags are 01 Seen, 02 Deleted, 04 Flagged, 10 Answered, 20 old
// (not recent), 40 Draft, the bits of mbx. An empty mailbox is an empty file,
// and of no format but as INBOX.
//
// There are no UIDs: each session counts from 1, under the time of its begin as
// UIDVALIDITY. The names of keywords are those of the configuration, not of the
// mailbox: none can be created.
//
// A file is of the format when, within its first 64 octets, a line ends as the
// format's lines do, which has "-" at octets 2 and 6, or 1 and 5, a comma from
// octet 18 on, and a semicolon two octets behind it or later.
//
// # Locks
//
// Those of package flocked. The temp lock is taken shared to read, exclusively
// to change. Messages can only be removed while nobody else has the mailbox
// open.
//
// # What is written
//
//	flags           patch of the 12 digits; each is old or new after a power
//	                cut
//	first session   patch of the same digits: the messages are not recent any
//	                more; a power cut may leave some that are
//	new mail        append through a journal: all of it or nothing
//	expunge         replace through a journal, in place: all or nothing
//	new mailbox     a new file, which appears whole
//
// Who finds a journal that a crash left finishes it, before anything else. In
// an INBOX that is open for writing new mail is moved in from the spool; a
// crash may double it, never lose it.
//
// # What is tolerated, and refused
//
// Dates and sizes are read as leniently as by the original, but for a size
// below zero. Digits 8 and 9 in the flags are no octal ones, which the original
// does not mind; nor do we. Where a record should begin and nothing readable
// is, opening fails with the words of the original, and the offset. An append
// finds out first whether the file ends with a whole record, from its end
// (damage with whole records behind it is not seen): what a killed
// append of the original or garbage left behind the last one is moved to
// NAME.lost, unless messages may be behind it.
//
// # Differences to the original
//
//   - Keyword bits without a name stay when flags are changed.
//   - Keywords that others take away are seen to be gone.
//   - An append is durable when it succeeds; expunging cannot leave a mixture.
//   - A session that fails to open has written nothing.
//   - Flags are changed starting from what the file has, and under the temp
//     lock: of two sessions that change different flags none is undone.
//   - Two sessions that begin within one second have one UIDVALIDITY, though
//     messages may have been removed in between; so it is in the original.
//
// # Findings of a deep check, and repair
//
// Damage: line, size-long, size-short, torn-tail, gap, junk-tail, copies,
// line-ends, journal.
// Doubt: text-start, lost. All with the format's name before. Each has a place
// in the plan of a repair, which is made by the same walk.
package mailtxt
