package msgtext_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"mailutil/pkg/internal/crlf"
	"mailutil/pkg/internal/msgtext"
)

// textOf gives the octets of file in pieces of at most n, of a buffer that is
// overwritten each time.
func textOf(file string, lf bool, n int) *msgtext.Text {
	buf := make([]byte, min(n, len(file)))
	t := &msgtext.Text{LF: lf, Piece: func(off, want int64) ([]byte, error) {
		for i := range buf {
			buf[i] = '?'
		}
		return buf[:copy(buf[:min(int64(len(buf)), want)], file[off:])], nil
	}}
	t.Reset(int64(len(file)))
	return t
}

var long = "A: " + strings.Repeat("x", 9_000)

var texts = []struct{ file, head string }{ // as they are with CR LF
	{"", ""},
	{"\r\n", "\r\n"},
	{"\r\nbody\r\n", "\r\n"},
	{"a: b\r\n\r\nbody\r\n", "a: b\r\n\r\n"},
	{"a: b\r\n\r\n", "a: b\r\n\r\n"},
	{"a: b\r\n", "a: b\r\n"},
	{"a: b", "a: b"},
	{"a: b\r\r\n\r\nc\r\r\n\r\n", "a: b\r\r\n\r\n"},
	{long + "\r\n\r\n" + long, long + "\r\n\r\n"},
}

// TestText reads each text with both line ends and pieces of several sizes:
// all of it, its header before, between and after reads, and its size.
func TestText(t *testing.T) {
	for i, c := range texts {
		for _, lf := range []bool{false, true} {
			file := c.file
			if lf {
				var to crlf.ToLF
				file = string(to.Flush(to.Append(nil, []byte(file))))
			}
			for _, n := range []int{1, 2, 3, 7, 1000, 1 << 20} {
				text := textOf(file, lf, n)
				size, err := text.Measure()
				if err != nil || size != int64(len(c.file)) {
					t.Errorf("text %d, LF %t, pieces of %d: size %d, %v", i, lf, n, size, err)
				}
				for _, before := range []int{0, min(1, len(c.file)), len(c.file) / 2, len(c.file)} {
					text.Reset(int64(len(file)))
					start := make([]byte, before)
					_, err := io.ReadFull(text, start)
					head, herr := text.Header()
					top := string(head)
					rest, rerr := io.ReadAll(iotest.OneByteReader(text))
					if err := errors.Join(err, herr, rerr); err != nil || string(start)+string(rest) != c.file || top != c.head {
						t.Errorf("text %d, LF %t, pieces of %d, header after %d: %.40q, header %.40q, %v", i, lf, n, before, rest, top, err)
					}
				}
			}
		}
	}
}

// TestRewind reads twice; each octet of the file is seen once.
func TestRewind(t *testing.T) {
	const file = "a: b\n\nbody\n"
	text := textOf(file, true, 3)
	var out, seen bytes.Buffer
	text.Seen = func(p []byte) { seen.Write(p) }
	for range 2 {
		if _, err := text.WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		text.Rewind()
	}
	if want := strings.ReplaceAll(file, "\n", "\r\n"); out.String() != want+want || seen.String() != file {
		t.Errorf("read %q, seen %q", &out, &seen)
	}
}

// TestBroken has an error in any place: it comes, whoever reads.
func TestBroken(t *testing.T) {
	broken := errors.New("broken")
	file := strings.Repeat("line\n", 50)
	for range 20 {
		at := rand.N(int64(len(file)))
		text := textOf(file, true, 10)
		whole := text.Piece
		text.Piece = func(off, want int64) ([]byte, error) {
			if off > at {
				return nil, broken
			}
			return whole(off, min(want, at+1-off))
		}
		_, herr := text.Header()
		_, merr := text.Measure()
		n, werr := text.WriteTo(io.Discard)
		if at < int64(len(file))-1 && (herr != broken || merr != broken || werr != broken) || n < at {
			t.Errorf("broken behind octet %d: header %v, size %v, text %v after %d", at, herr, merr, werr, n)
		}
	}
}

// TestDigests reads some of three texts in part, some twice, some not at all:
// the proof is that of reading each once.
func TestDigests(t *testing.T) {
	files := []string{"a: b\n\none\n", "", strings.Repeat("c\n", 5000)}
	name := func(i int) []byte { return []byte{byte(i)} }
	prove := func(reads []int, files ...string) any {
		t.Helper()
		d := msgtext.NewDigests(len(files))
		read := func(i int, most int64) {
			text := textOf(files[i], i != 0, 1000)
			d.Watch(text, i)
			io.CopyN(io.Discard, text, most/2)
			if _, err := text.Header(); err != nil { // goes back in the file
				t.Fatal(err)
			}
			io.CopyN(io.Discard, text, most-most/2)
		}
		for n, i := range reads {
			read(i, int64(5+n*20000))
		}
		p, err := d.Proof(name, func(i int) error { read(i, 1<<20); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	want := prove(nil, files...)
	if got := prove([]int{2, 0, 2, 0}, files...); got != want {
		t.Errorf("read in parts: got %+v, want %+v", got, want)
	}
	if got := prove(nil, files[0], files[1], files[2][1:]); got == want {
		t.Errorf("another text has the same proof, %+v", got)
	}
}
