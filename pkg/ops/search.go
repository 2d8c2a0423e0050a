package ops

import (
	"bytes"
	"io"
)

// An octetFinder looks for octets in texts, as they stand.
type octetFinder struct {
	want []byte
	buf  []byte
}

// octetPiece is how much an octetFinder reads at a time.
const octetPiece = 64 << 10

// in reports whether the octets are in the text, and reads no further than it
// takes.
func (f *octetFinder) in(text io.Reader) (bool, error) {
	if f.buf == nil {
		f.buf = make([]byte, len(f.want)-1+octetPiece)
	}
	held := 0 // octets at the start of buf that the wanted ones may begin in
	for {
		n, err := text.Read(f.buf[held:])
		b := f.buf[:held+n]
		if bytes.Contains(b, f.want) {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		held = copy(f.buf, b[max(0, len(b)-len(f.want)+1):])
	}
}
