// Package imap is the driver of mailboxes at IMAP servers, RFC 3501:
// "{host[:port][/switch...]}mailbox". Its Server is the other side, for one
// connection: what the command serve shows mailboxes with.
//
// The driver has a small client of its own, for just the commands that it needs. The
// client library that is kept, emersion/go-imap, gives up a whole connection at
// one odd line (an unknown untagged response, an unknown item of a FETCH, a
// mailbox name that is not good modified UTF-7), writes names otherwise than
// the server spelled them, has no MULTIAPPEND and one absolute limit on the
// time of a literal. Here what is not known is passed over, names are octets,
// and the limits are on silence and on what is kept in memory:
//
//	a response, with the literals in it   1 MiB
//	header blocks that are read ahead     4 MiB, and one header block
//	the text of messages                  never kept; 4 MiB of it may be under way
//	the index                             about 64 octets a message
//
// # What is read
//
//	open    EXAMINE or SELECT, FETCH 1:n (UID INTERNALDATE RFC822.SIZE FLAGS)
//	text    UID FETCH u,... (UID BODY.PEEK[]), or BODY.PEEK[HEADER]; the
//	        messages that will be asked for next are asked for ahead, so that a
//	        copy does not wait for the way there and back at each
//	check   STATUS
//	list    LIST "" "prefix*"
//
// Seen is never set. A connection that breaks is made anew, up to three times
// in a row, and the message goes on where it broke off; UIDVALIDITY must be
// the same. A size that the server tells wrongly is corrected when the message
// is read.
//
// # What is written
//
// A delivery is one APPEND of all messages where the server has MULTIAPPEND
// (RFC 3502): all of them, or none. Elsewhere it is an APPEND for each, some of
// them under way at a time, and what was stored stays when one fails. A journal
// in Env.StateDir knows which: the next delivery to that mailbox looks there
// and at the server, and passes over what is stored already, so that a copy
// that was cut off can be run again. It goes by a digest of each text, and asks
// the server for all that came in since.
//
// A new mailbox is created first and appears empty; IMAP has no hidden names.
// It is deleted again when nothing came into it.
//
// Texts are sent with CRLF line ends: a lone LF becomes one, and is counted. An
// expunge marks the messages as Deleted and is a UID EXPUNGE (RFC 4315) of them;
// where the server has none, those that others marked are unmarked for that
// time.
//
// A server that is still busy with what a killed process has sent may store
// some of that after the next delivery has looked. The journal tells what was
// under way then, and the next delivery looks again at its end and removes what
// is there twice.
//
// # Not supported
//
// UIDs cannot be kept (no server lets a client choose them), nor envelope
// senders. Referrals are not followed.
package imap
