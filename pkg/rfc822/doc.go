// Package rfc822 reads what a message is made of: header fields (RFC 5322),
// encoded words (RFC 2047), transfer encodings and MIME parts (RFC 2045 and
// 2046). Nothing is rewritten, and nothing fails: what is not as it should be
// is taken for plain text.
//
// Functions on header blocks take and return views; streams are pushed: a
// Walker and the decoders are writers, because that is how mailboxes give the
// text of a message in large pieces.
package rfc822
