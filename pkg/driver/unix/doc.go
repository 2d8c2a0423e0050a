// Package unix is the traditional Unix mailbox, mbox: the format of /var/mail.
//
// # Layout
//
// A file of messages, lines ending in LF (CR LF is read as well):
//
//	From SENDER Www Mmm dd hh:mm:ss yyyy [+zzzz]    the From_ line
//	header lines
//	status block                                    ours, hidden from readers
//	empty line
//	body
//	empty line                                      not part of the body
//
// A From_ line in a body begins the next message, whether or not an empty line
// stands before it; package internal/mbox has its exact form. Inside a header it is text.
// On append, body and header lines that begin "From " are quoted with ">";
// nothing is unquoted on reading.
//
// The status block is, with trailing blanks that leave room for changes:
//
//	X-IMAPbase: UIDVALIDITY UIDLAST [KEYWORD]...    first message only
//	Status: [R][O]                                  R Seen, O not recent
//	X-Status: [D][F][A][T]                          Deleted Flagged Answered Draft
//	X-Keywords: [KEYWORD]...
//	X-UID: UID
//
// A mailbox that was created (rather than grown from an empty file) begins
// with a pseudo-message that holds the first line, as "X-IMAP:", instead.
//
// # Recognition
//
// Within its first 1023 octets the file has, after any blank lines, a whole
// From_ line. From_ lines without a date, which Thunderbird writes, are text, and
// a file that begins with one is none of ours: anybody may write such a line. Only
// where the user has said that files are Thunderbird's (Driver.Thunderbird) they
// begin messages, behind an empty line.
//
// # Locks
//
// While a file is read or written: dot lock, fcntl and flock, shared for
// reading. During a read-write session also the session lock /tmp/.DEV.INO,
// whose holder may be asked to leave by SIGUSR2; it then becomes read-only.
//
// # Writing
//
// Append: behind the old end, by journal, without rewriting what is there; a
// new message gets its UID when the mailbox is opened read-write next. Flag
// changes and expunge: by journal, in place; the inode stays. New mailboxes:
// under a hidden name, published when whole.
//
// # Differences from the original
//
// A CR is part of the line end only directly before LF; others are kept, where
// the original drops them all. NUL stays NUL. A first message is taken for the
// pseudo-message only if it has its subject or sender as well as X-IMAP.
// Status headers in mail that is appended are all renamed, where the original
// stops at the first header that begins with X. Keywords are created on
// append. Numbers of 2^32 and above are invalid. Files that end inside a
// header, and From_ lines of any length, are read and rewritten without harm.
//
// # Findings of a deep check
//
// Damage: leading-junk, from-bad, from-in-header, from-glued,
// from-glued-header, header-wiped, from-lost, torn-tail, nul-tail, nul-end;
// base-bad, pseudo-bad, uid-bad, uid-order, uid-twice, which give messages new
// UIDs; journal. Doubt: leading-blank, from-no-blank, from-no-header,
// from-undated, from-prose, from-content-length, from-garbled, from-quoted,
// from-twice, content-length, header-line, header-only, no-newline,
// status-spelling, status-continuation, base-bad (where another counts),
// base-misplaced, base-twice, pseudo-old, pseudo-second, uid-high,
// uid-unbased, keyword-unknown, nuls, bare-cr, crlf, mixed-lines, lock-left,
// lost. All with "unix." before.
package unix
