// Package mtx is the mtx mailbox format of the original (the UW IMAP toolkit):
// MAIL.TXT of TOPS-20, with CRLF line ends, on disk exactly as the original
// writes and reads it.
//
//	14-Jul-2001 02:03:04 -0700,47;400000000021 CRLF
//	47 octets of text
//
// Texts are kept octet for octet. INBOX is ~/INBOX where that is a mailbox of
// this format with mail in it, else ~/INBOX.MTX, which may be empty. All else,
// the locks, what is written and what is refused, is in package mailtxt.
//
// Its relatives: package tenex has the same records with LF line ends, and an
// mbx mailbox without its file block is taken for one of this format, which
// then has a line that cannot be read.
package mtx
