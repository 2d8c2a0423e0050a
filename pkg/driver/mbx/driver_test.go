package mbx

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"mailutil/pkg/mailbox"
)

func TestProbe(t *testing.T) {
	k := block{validity: 0xABCDEF01, uidLast: 1}
	good, _ := k.print()
	with := func(off int, s string) []byte {
		b := bytes.Clone(good)
		copy(b[off:], s)
		return b
	}
	for name, tt := range map[string]struct {
		file []byte
		want bool
	}{
		"block":             {good, true},
		"upper-case digits": {with(validityOff, "ABCDEF01"), true},
		"junk behind":       {with(magicEnd, "\xff\x00junk"), true},
		"short":             {good[:blockSize-1], false},
		"empty":             {nil, false},
		"magic case":        {with(0, "*MBX*"), false},
		"not hex":           {with(uidLastOff+7, "g"), false},
		"no CRLF":           {with(magicEnd-2, "\n\n"), false},
	} {
		w := newWorld(t)
		n := w.file("box", tt.file)
		if ok, err := w.Probe(n); ok != tt.want || err != nil {
			t.Errorf("%s: got %v, %v; want %v", name, ok, err, tt.want)
		}
		mb, err := w.Open(context.Background(), n, mailbox.ReadOnly)
		if tt.want && err != nil || !tt.want && !errors.Is(err, mailbox.ErrFormat) {
			t.Errorf("%s: open: got %v", name, err)
		}
		if err == nil {
			mb.Close()
		}
	}
	w := newWorld(t)
	if err := os.Mkdir(filepath.Join(w.home, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.file("file", good)
	for _, base := range []string{"dir", "none", "file/below"} {
		if ok, err := w.Probe(w.name(base)); ok || err != nil {
			t.Errorf("%s: got %v, %v; want false", base, ok, err)
		}
	}
	if err := os.Symlink("loop", filepath.Join(w.home, "loop")); err != nil {
		t.Fatal(err)
	}
	if ok, err := w.Probe(w.name("loop")); ok || err == nil {
		t.Errorf("what cannot be looked at: got %v, %v; want an error", ok, err)
	}
}

// TestHeader reads headers before, between and after reads.
func TestHeader(t *testing.T) {
	long := "A: " + string(bytes.Repeat([]byte("x"), 3*(8<<10))) + "\r\n\r\n"
	for header, body := range map[string]string{
		"A: b\r\n\r\n": "c\r\n", "\r\n": "body\r\n\r\n", "A: b\r\n": "", long: long, "A: b\n\nc": "",
	} {
		w := newWorld(t)
		n := w.name("box")
		w.deliver(n, mailbox.AppendOptions{New: true}, item("first\r\n"), item(header+body), item("last\r\n\r\n"))
		b := w.open(n, mailbox.ReadOnly)
		c, err := b.Open(2)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		for _, size := range []int{1, 3, 5000, 0} {
			h, err := c.Header()
			if err != nil || string(h) != header {
				t.Fatalf("after %d octets: got %.20q, %v; want %.20q", text.Len(), h, err, header)
			}
			if size == 0 {
				_, err = c.WriteTo(&text)
			} else {
				_, err = io.CopyN(&text, struct{ io.Reader }{c}, int64(size))
			}
			if err != nil && err != io.EOF {
				t.Fatal(err)
			}
			if string(h) != header {
				t.Fatal("a read spoils the header")
			}
		}
		if text.String() != header+body {
			t.Errorf("text: got %.40q, want %.40q", text.String(), header+body)
		}
	}
}
