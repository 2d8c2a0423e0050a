package fsx

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// A shortWriter takes an octet less than it is given.
type shortWriter struct{ bytes.Buffer }

func (w *shortWriter) Write(p []byte) (int, error) { return w.Buffer.Write(p[:len(p)-1]) }

func TestCopy(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name string
		from io.Reader
		to   interface {
			io.Writer
			String() string
		}
		want string
		err  error
	}{
		{"all", strings.NewReader("12345"), &bytes.Buffer{}, "12345", nil},
		{"octets with the end", iotest.DataErrReader(strings.NewReader("12345")), &bytes.Buffer{}, "12345", nil},
		{"octets with an error", iotest.DataErrReader(io.MultiReader(strings.NewReader("12345"), iotest.ErrReader(broken))), &bytes.Buffer{}, "12345", broken},
		{"short write", strings.NewReader("12345"), &shortWriter{}, "12", io.ErrShortWrite},
	} {
		n, err := Copy(tt.to, tt.from, make([]byte, 3))
		if got := tt.to.String(); got != tt.want || n != int64(len(tt.want)) || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %q, %d, %v; want %q, %v", tt.name, got, n, err, tt.want, tt.err)
		}
	}
}
