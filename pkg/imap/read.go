package imap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// What a server may send. A response is what is kept of it in memory: its
// text, and the literals in it that are not the text of a message.
const (
	maxResponse = 1 << 20
	maxLiteral  = 1 << 40 // the text of a message
)

// A ProtocolError is an answer after which the connection cannot be used: where
// the next one begins is not known.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string { return "the server broke the protocol: " + e.Reason }

// A reader reads responses.
type reader struct {
	r    *bufio.Reader
	line []byte // the response so far, with literals in place
	tail int    // where the last line of it begins
}

// begin starts a new response.
func (r *reader) begin() { r.line, r.tail = r.line[:0], 0 }

// more reads on to the end of the line. literal is how many octets follow that
// belong to the response; -1 when the response is complete. They are to be
// read from r.r, or put into the response by keep.
func (r *reader) more() (literal int64, err error) {
	r.tail = len(r.line)
	for {
		piece, err := r.r.ReadSlice('\n')
		if len(r.line)+len(piece) > maxResponse {
			return 0, &ProtocolError{fmt.Sprintf("a response is longer than %d octets", maxResponse)}
		}
		r.line = append(r.line, piece...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return 0, err
		}
	}
	end := bytes.TrimRight(r.line[r.tail:], "\r\n")
	n, ok := literalSize(end)
	if !ok || isStatus(r.line) {
		r.line = r.line[:r.tail+len(end)]
		return -1, nil
	}
	if n > maxLiteral {
		return 0, &ProtocolError{fmt.Sprintf("a literal of %d octets", n)}
	}
	return n, nil
}

// keep puts a literal into the response.
func (r *reader) keep(n int64) error {
	if int64(len(r.line))+n > maxResponse {
		return &ProtocolError{fmt.Sprintf("a literal of %d octets where a name or the like should be", n)}
	}
	at := len(r.line)
	r.line = append(r.line, make([]byte, n)...)
	_, err := io.ReadFull(r.r, r.line[at:])
	return err
}

// passed puts an empty string in the place of a literal that has been read
// apart.
func (r *reader) passed() {
	open := bytes.LastIndexByte(r.line, '{')
	if open > 0 && r.line[open-1] == '~' {
		open--
	}
	r.line = append(r.line[:open], `""`...)
}

// isStatus reports whether the line is one whose rest is text for people: that
// may end in "{5}" and mean nothing.
func isStatus(line []byte) bool {
	_, rest, _ := bytes.Cut(line, []byte(" "))
	word, _, _ := bytes.Cut(rest, []byte(" "))
	switch string(bytes.ToUpper(bytes.TrimRight(word, "\r\n"))) {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		return true
	}
	return bytes.HasPrefix(line, []byte("+"))
}

// isItem reports whether a response that goes on with a literal has it as the
// value of the item name, such as BODY[], whole or from an offset on.
func isItem(line []byte, name string) bool {
	line = bytes.TrimRight(line, "\r\n")
	if open := bytes.LastIndexByte(line, '{'); open >= 0 {
		line = line[:open]
	}
	line = bytes.TrimRight(line, "~ ")
	if i := bytes.LastIndexByte(line, '<'); i >= 0 && bytes.HasSuffix(line, []byte(">")) {
		line = line[:i]
	}
	n := len(line) - len(name)
	return n > 0 && bytes.EqualFold(line[n:], []byte(name)) && (line[n-1] == ' ' || line[n-1] == '(')
}
