package ops

import (
	"bufio"
	"bytes"
	"hash/maphash"
	"io"
)

// essence digests what every format keeps of a text, whatever it had to alter
// (mailbox.Altered): the lines without CRs and 0x01, without the ">" before "From ",
// without the X-Original- before a renamed header, without the newlines at the
// end. Two texts of one message in two formats have the same essence.
func essence(r io.Reader) (uint64, error) {
	var sum maphash.Hash
	sum.SetSeed(seed)
	err := writeEssence(&sum, r)
	return sum.Sum64(), err
}

var newline = []byte("\n")

// writeEssence writes the essence of a text to a digest, whose Write never
// fails.
func writeEssence(sum io.Writer, r io.Reader) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	newlines := 0 // seen, but not digested: they may be the last ones
	lineStart := true
	for {
		piece, err := lines.ReadSlice('\n')
		if lineStart {
			piece = plainStart(piece)
		}
		body, ended := bytes.CutSuffix(piece, []byte("\n"))
		if body = kept(body); len(body) > 0 {
			for ; newlines > 0; newlines-- {
				sum.Write(newline)
			}
			sum.Write(body)
		}
		if ended {
			newlines++
		}
		lineStart = ended
		if err == io.EOF {
			return nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
	}
}

// kept is a piece of a line without the octets that a format may have dropped.
func kept(b []byte) []byte {
	for _, dropped := range []string{"\r", "\x01"} {
		if bytes.Contains(b, []byte(dropped)) {
			b = bytes.ReplaceAll(b, []byte(dropped), nil)
		}
	}
	return b
}

// plainStart takes off what a format may have put at the start of a line.
func plainStart(line []byte) []byte {
	if rest := bytes.TrimLeft(line, ">"); len(rest) < len(line) && bytes.HasPrefix(rest, []byte("From ")) {
		return rest
	}
	for {
		rest, found := bytes.CutPrefix(line, []byte("X-Original-"))
		if !found {
			return line
		}
		line = rest
	}
}
