// Package mmdf is the mailbox of the MMDF mail system: messages between lines
// of four 0x01.
//
// # Layout
//
// A file of messages, lines ending in LF, ^A being 0x01:
//
//	^A^A^A^A                                        delimiter
//	From SENDER Www Mmm dd hh:mm:ss yyyy [+zzzz]    From_ line; may be missing
//	header lines
//	status block                                    ours, hidden from readers
//	empty line
//	body
//	^A^A^A^A                                        delimiter
//
// The status block, the pseudo-message and the From_ line are those of package
// unix. A body is all that lies before the delimiter: no empty line is added or
// taken away, and lines that begin "From " are text.
//
// # Recognition
//
// The file begins with a delimiter.
//
// # Locks and writing
//
// As in package unix; package mboxfile does both.
//
// # Tolerated
//
// One delimiter between two messages instead of two, or more than two. None, or
// one without LF, at the end of the file. A delimiter at the end of a line of
// text, when that has two octets or more before it; it stays there. A header
// that a delimiter ends. Text between the two delimiters is a message. A message
// without a From_ line has the date of the file, which changes with it.
//
// # Differences from the original
//
// Those of package unix. An append adds no empty line, where the original adds
// one each time. Of 0x01 in text that is appended only what would make a
// delimiter is dropped: from the fourth in a row on, whatever CRs lie between;
// the original drops all. A delimiter too many is passed over, where the original
// finds an empty message. A last line without LF gets one before the delimiter is
// added.
//
// # Findings of a deep check
//
// Those of package unix with "mmdf." before, as far as they are not about From_
// lines between messages. Damage besides: leading-junk, delimiter-bad, both of
// which make a file that no reader knows; torn-tail, a file that does not end
// with a delimiter; delimiter-garbled, by what is behind it; no-message. Doubt:
// delimiter-single, delimiter-extra, delimiter-glued, delimiter-garbled,
// from-missing, from-quoted, header-only.
package mmdf
