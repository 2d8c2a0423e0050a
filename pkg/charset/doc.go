// Package charset turns text in the charsets that mail is written in to UTF-8.
//
// Most decoders are those of golang.org/x/text. Missing there, and made here,
// are UTF-7 (RFC 2152), VISCII (RFC 1456), ISO-2022-KR (RFC 1557) and the
// GB 2312 part of ISO-2022-CN (RFC 1922).
//
// Nothing fails: what a decoder cannot read becomes U+FFFD, and text of an
// unknown charset is taken as UTF-8 whose bad octets are Latin-1.
package charset
