// Package phile shows any file that no format knows as a mailbox of one
// message, so that nothing that a user has becomes unreadable.
//
// # Recognition
//
// Every regular file that is not empty. The driver must be asked after those
// of all formats. INBOX is never a phile.
//
// # The message
//
// Read-only, Recent, UID 1; internal date and UIDVALIDITY are the file's
// modification time. Its header is made up:
//
//	Date: modification time in the local zone
//	From: OWNER@HOST, or User-Number-N@HOST
//	Subject: full path of the file
//	MIME-Version: 1.0
//	Content-Type: see below
//	Content-Transfer-Encoding: see below, left out for 7-bit text
//
// A file with an octet of 00-06, 10-1A, 1C-1F or 7F is binary:
// APPLICATION/OCTET-STREAM in BASE64, lines of 60, and an empty line behind a
// last line that is full. Any other is TEXT/PLAIN in the charset ISO-2022-JP,
// -KR or -CN when a sequence of theirs occurs (in that order of preference),
// else X-UNKNOWN when an octet is above 7F, else US-ASCII; with an octet above
// 7F the encoding is 8BIT. LF becomes CR LF, but in a text that has any CR all
// octets stay as they are.
//
// # Writing
//
// Nothing is written to such a file. Appending is refused. Creating makes an
// empty file, which is then no phile; deleting and renaming are those of a
// plain file.
//
// # Differences from the original
//
// Fifos and devices are not opened. Appending to a new name does not leave an
// empty file behind. A file that changes while it is open is an error.
package phile
