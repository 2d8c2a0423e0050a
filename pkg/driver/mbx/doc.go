// Package mbx is the mbx mailbox format of the original (the UW IMAP toolkit),
// on disk exactly as it writes and reads it: one file, with flags that are
// changed in place and UIDs that are kept.
//
// # Layout
//
// A file block of 2048 octets:
//
//	   0   7  "*mbx*" CRLF
//	   7   8  UIDVALIDITY, hexadecimal
//	  15   8  UIDLAST, the highest UID ever given, hexadecimal
//	  23   2  CRLF
//	  25      30 keywords, a line each, an empty one where the slot is free;
//	          slot n is bit n
//	          NULs
//	2038   8  LASTPID, the process that changed flags last, hexadecimal; NULs
//	          as long as nobody has
//	2046   2  CRLF, or NULs
//
// Then messages up to the end of the file, each an internal line and SIZE
// octets of text, as they were given, with CRLF line ends:
//
//	14-Jul-2001 02:03:04 -0700,47;000000040011-00000001 CRLF
//	date                       SIZE
//	                              keywords, 8 hexadecimal digits
//	                                      flags, 4 of them
//	                                           UID, 8 of them
//
// The day is padded with a blank where somebody gave the date, with a zero
// where it is the time of arrival. Flags are 0001 Seen, 0002 Deleted, 0004
// Flagged, 0008 Answered, 0010 old (not recent), 0020 Draft, 8000 expunged:
// there, but not to be seen. UID 0 is a message that gets its number when a
// session opens the mailbox for writing.
//
// A file is of this format when it has a full block and its first 25 octets
// are as above. An empty file is not. INBOX is ~/INBOX.
//
// # Locks
//
// The shared flock on the mailbox is held as long as a session or an append
// lasts: as long as it is there nobody moves messages. It is raised to an
// exclusive one, without waiting, to move messages, to delete and to rename.
// The temp lock /tmp/.DEV.INO is held to read what is new, to append and to
// change anything; it is taken first.
//
// # What is written
//
//	flags, UIDs     patch of the last 21 octets of the internal line before
//	                its CRLF, and of the file block; each digit is old or new
//	                after a power cut
//	first session   UIDLAST first, then the UIDs below it, each durable; a
//	                power cut may leave numbers out of order, which the next
//	                session puts right as in any mailbox (a new UIDVALIDITY)
//	new mail        append through a journal: all of it or nothing
//	new keywords    patch of the file block, durable before a message bears
//	                one; a power cut may leave one that nothing bears
//	expunge         replace through a journal, in place, where nobody else has
//	                the mailbox open; else all marks at once through a journal
//	new mailbox     a new file, which appears whole
//
// Who finds a journal that a crash left finishes it, before anything else. In
// an INBOX that is open for writing new mail is moved in from the spool; a
// crash may double it, never lose it.
//
// # What is tolerated
//
// Sizes, dates and digits are read as leniently as by the original. UIDs that
// do not ascend, or are above UIDLAST, are given anew under a new UIDVALIDITY,
// with its warning. Keyword bits without a name are kept. Expunged records may
// be anywhere.
//
// # What is refused
//
// Where a record should begin and nothing readable is, opening fails with the
// words of the original, and the offset. Sizes below zero, on which the
// original may go round in circles, are refused as where they would lead it.
// An append finds out first whether the file ends with a whole record, from its
// end: what a killed append of the original or garbage left behind the last one
// is moved to NAME.lost, unless messages may be behind it. Damage with whole
// records behind it is not seen.
//
// # Differences to the original
//
//   - An append creates keywords, and is durable when it succeeds.
//   - Expunging cannot leave a mixture. It takes about the time and the room
//     of a copy of all that follows the first removed message.
//   - A session that fails to open has written nothing.
//   - Flags are changed starting from what the file has, not from what the
//     session remembers.
//   - When UIDLAST has reached its end all messages get new numbers; there the
//     original makes the file unreadable.
//   - Expunging a message that another session has expunged already counts as
//     nothing.
//
// # Findings of a deep check
//
// Damage: block-digits, block-lost, block-shifted, block-short, block-stale, magic,
// keywords, lf-converted, second-block; line-end, line-shape, line-lost, line-wiped,
// flags, uid, size, date; size-long, size-short, torn-tail, gap, junk-tail,
// copies; uid-order, uid-twice, uidlast-low; journal. Doubt: uidvalidity,
// block-tail, keyword, keyword-long, keyword-twice, keyword-unnamed,
// line-loose, date (of a removed message), flags-unknown, old-without-uid,
// expunged, text-start, nuls, bare-lf, no-newline, lost. All with "mbx."
// before. A size that is wrong and octets that were lost or added in a text
// look the same.
//
// # Repair
//
// The walk of the deep check yields the plan: records that are kept, that get a
// new line, and octets that are set aside. A record is believed when it leads to
// another, or to what is left of a line; one that stands in a text is believed
// only when it leads on and its UID fits. A size that is right once octets that
// are there twice are left out, or lines end in CR LF again, is believed, too.
// Where UIDs cannot be read they are found by their neighbours, if only one can
// be; else UIDVALIDITY changes.
package mbx
