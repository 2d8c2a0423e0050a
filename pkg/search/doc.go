// Package search selects messages by criteria: the words of IMAP2 that the
// original tools take, and the search keys of RFC 3501 and RFC 5032.
//
// # Criteria
//
// Criteria are separated by blanks, all must be met. Words are in any case.
//
//	ALL ANSWERED DELETED DRAFT FLAGGED NEW OLD RECENT SEEN
//	UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNSEEN
//	BCC CC FROM SUBJECT TO string    in such a header field
//	HEADER name string               in that field; "": the field is there
//	BODY string                      in a text part
//	TEXT string                      in a text part or any header
//	KEYWORD UNKEYWORD name           bears that keyword or not
//	BEFORE ON SINCE date             internal date
//	SENTBEFORE SENTON SENTSINCE date Date field
//	LARGER SMALLER n[kMG]            octets, or powers of 1024 of them
//	OLDER YOUNGER n[smhdw]           seconds or the unit, internal date
//	1,3:5,*                          sequence numbers
//	UID 1,3:5,*                      unique identifiers
//	NOT key    OR key key    (key key ...)
//
// One blank stands before an argument. A string is an atom, which ends at a
// blank (in parentheses also at ")"); or "..." with no way to escape a quote in
// it; or an IMAP literal, {n}, CR LF and n octets. Only HEADER takes an empty
// one. Dates are what mailbox.ParseDate takes; those with blanks need quotes.
//
// The original knows no parentheses, HEADER, NOT, OR, OLDER, YOUNGER, UID,
// sequence numbers and units: it calls them unknown criteria. Two things are as
// it has them: of several dates or sizes for the same word the last counts
// (outside parentheses), and dates are compared by the day as it is written,
// without time or zone. A message without a date meets no criterion about it.
//
// # Strings
//
// A string is UTF-8 and met by a substring of the decoded text, in any case: by
// simple case folding of Unicode, but that no character outside ASCII is taken
// for one within. Nothing is normalised. A tab in a header, and folding, is a
// blank; in bodies line ends are as they are. A string is not found in two
// parts together. BCC, CC, FROM and TO look at the field as it is written, the
// original at the addresses as it would write them.
//
// Text parts are all of type text, and of type message what is no message. The
// text around the parts of a multipart, and a multipart that has no boundary,
// is text. What is not MIME is text as it stands.
package search
