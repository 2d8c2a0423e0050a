// Package pop3 speaks POP3, RFC 1939: as a driver of {host/pop3}INBOX, and as
// the server's side of one connection. It frames by hand, for what the standard
// library has for that (net/textproto) makes LF of CRLF.
//
// # As a driver
//
// A POP3 server has one mailbox and knows neither flags nor dates: the internal
// date is that of the Date field, or of the newest Received field where it has
// none, and the index is made of UIDL and LIST. Reading asks for texts ahead
// where the server can pipeline. Deleting is done by an expunge: DELE, and
// QUIT, which ends the session; it is begun anew when something else is asked
// for. The original refuses to read such a mailbox read-only; here nothing but
// an expunge writes, and -rw is not needed.
//
// # As a server
//
// Messages are numbered as they were when the client logged in. UIDL is
// UIDVALIDITY and UID. What a client deletes goes at QUIT, all or none.
package pop3
