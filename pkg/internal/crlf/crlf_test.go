package crlf

import (
	"bytes"
	"testing"
)

// TestLineEnds converts in pieces of every size, there and back.
func TestLineEnds(t *testing.T) {
	text := "a\r\nb\r\r\nc\rd\r\n\r\n\r\re\r\r"
	for n := 1; n <= len(text); n++ {
		var lf ToLF
		var disk []byte
		for p := []byte(text); len(p) > 0; p = p[min(n, len(p)):] {
			disk = lf.Append(disk, p[:min(n, len(p))])
		}
		disk = lf.Flush(disk)
		if want := "a\nb\r\r\nc\rd\n\n\r\re\r\r"; string(disk) != want || lf.Bare != 0 {
			t.Errorf("pieces of %d: got %q, %d bare; want %q", n, disk, lf.Bare, want)
		}
		var back []byte
		var added int64
		cr := false
		for p := disk; len(p) > 0; p = p[min(n, len(p)):] {
			piece := p[:min(n, len(p))]
			back = Append(back, piece, cr)
			added += Added(piece, cr)
			cr = EndsCR(piece, cr)
		}
		if string(back) != text || added != int64(len(back)-len(disk)) {
			t.Errorf("pieces of %d: back %q, %d added; want %q", n, back, added, text)
		}
	}
}

func FuzzLineEnds(f *testing.F) {
	f.Add([]byte("a\r\nb\r\r\n\rc\n\nd\r"), 3)
	f.Fuzz(func(t *testing.T, text []byte, n int) {
		n = max(1, n)
		var lf ToLF
		var disk []byte
		for p := text; len(p) > 0; p = p[min(n, len(p)):] {
			disk = lf.Append(disk, p[:min(n, len(p))])
		}
		disk = lf.Flush(disk)
		back := Append(nil, disk, false)
		if want := Append(nil, text, false); !bytes.Equal(back, want) || lf.Bare != len(want)-len(text) {
			t.Errorf("%q: on disk %q, %d bare; back %q", text, disk, lf.Bare, back)
		}
	})
}
