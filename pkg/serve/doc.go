// Package serve is the debugging endpoint: it shows mailboxes of any format to
// mail clients, by IMAP and POP3, from listeners or on one pair of pipes.
//
// It is for looking at mailboxes on this machine: it listens on loopback
// addresses alone unless told otherwise, and then wants TLS and a password. A
// session costs a goroutine and some buffers; the numbers of sessions, of
// failures to log in, of octets in a line and of seconds of silence have limits.
package serve
