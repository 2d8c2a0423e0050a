// Package crlf converts between the line ends of mail, CR LF, and those of
// files, LF, piece by piece and so that nothing else is lost: texts without a
// bare LF come back octet for octet.
package crlf
