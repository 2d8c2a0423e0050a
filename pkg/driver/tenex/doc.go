// Package tenex is the tenex mailbox format of the original (the UW IMAP
// toolkit): MAIL.TXT of Tenex, with LF line ends, on disk exactly as the
// original writes and reads it.
//
//	14-Jul-2001 02:03:04 -0700,43;400000000021 LF
//	43 octets of text
//
// The size is that of the text as it is on disk, with LF line ends. Readers get
// it with CRLF ones: an LF that has no CR before it becomes CRLF, and all other
// octets stay. So the size that is told has to be counted, which reads the text
// once, when it is asked for.
//
// # What the format cannot hold
//
// An LF without a CR comes back as CRLF; Altered counts it. CRs that are no part
// of a line end are kept and the original reads them, though it drops them from
// what it writes itself.
//
// INBOX is ~/INBOX where that is a mailbox of this format with mail in it, else
// ~/mail.txt, which may be empty. All else, the locks, what is written and what
// is refused, is in package mailtxt.
package tenex
