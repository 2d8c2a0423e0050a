package rfc822

import (
	"bytes"
	"iter"
)

// Header returns what follows the colon of the first field with the given
// name, in any case: folded and encoded as it stands, without the last line
// end. It is a view of block. ok is false where there is no such field.
func Header(block []byte, name string) (raw []byte, ok bool) {
	for n, raw := range Fields(block) {
		if len(n) == len(name) && bytes.EqualFold(n, []byte(name)) {
			return raw, true
		}
	}
	return nil, false
}

// Fields yields the names and raw bodies of the fields in a header block, as
// Header returns them, up to the blank line. Lines that are no field are left
// out, with the folded lines that follow them.
func Fields(block []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, raw []byte) bool) {
		for len(block) > 0 {
			field := block[:fieldEnd(block)]
			block = block[len(field):]
			if isBlank(field) {
				return
			}
			colon := bytes.IndexByte(field, ':')
			if colon < 0 {
				continue
			}
			name := bytes.TrimRight(field[:colon], " \t")
			if !isName(name) {
				continue
			}
			if !yield(name, trimLineEnd(field[colon+1:])) {
				return
			}
		}
	}
}

// fieldEnd returns the length of the first field with its folded lines.
func fieldEnd(block []byte) int {
	for end := 0; ; {
		i := bytes.IndexByte(block[end:], '\n')
		if i < 0 {
			return len(block)
		}
		end += i + 1
		if end == len(block) || block[end] != ' ' && block[end] != '\t' {
			return end
		}
	}
}

// isBlank reports whether line is an empty line.
func isBlank(line []byte) bool {
	return len(line) == 1 && line[0] == '\n' || len(line) == 2 && line[0] == '\r' && line[1] == '\n'
}

// isName reports whether s can be the name of a field, RFC 5322, 3.6.8.
func isName(s []byte) bool {
	for _, c := range s {
		if c <= ' ' || c >= 0x7F || c == ':' {
			return false
		}
	}
	return len(s) > 0
}

func trimLineEnd(s []byte) []byte {
	s = bytes.TrimSuffix(s, []byte("\n"))
	return bytes.TrimSuffix(s, []byte("\r"))
}

// Unfold appends raw to out without the line ends that are followed by a blank
// or tab, RFC 5322, 2.2.3.
func Unfold(out, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\n')
		if i < 0 {
			return append(out, raw...)
		}
		line, rest := raw[:i+1], raw[i+1:]
		if len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
			line = trimLineEnd(line)
		}
		out = append(out, line...)
		raw = rest
	}
}
