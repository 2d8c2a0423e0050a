package maildir

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailutil/pkg/internal/packed"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// unpacker is that of the program.
func unpacker(head []byte) func(r io.Reader) (io.Reader, func(), error) {
	if packed.Of(head) == packed.None {
		return nil
	}
	return packed.Unpack
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, text)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Compressed messages, small and large, are read among others; one that is cut
// is an error that names it.
func TestPacked(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	env.Unpacker = unpacker
	d := New(env)
	n := mailbox.Name{Text: "box", Path: filepath.Join(env.Home, "box")}
	if err := d.Create(context.Background(), n); err != nil {
		t.Fatal(err)
	}
	large := "Subject: b\n\n" + strings.Repeat("line\n", 1_000_000)
	for name, octets := range map[string][]byte{
		"1.a": gzipped(t, "Subject: a\n\nx\n"), "2.b": gzipped(t, large), "3.c": gzipped(t, ""), "4.d": []byte("Subject: d\n\nx\n"),
	} {
		if err := os.WriteFile(n.Path+"/cur/"+name+":2,S", octets, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"Subject: a\r\n\r\nx\r\n", strings.ReplaceAll(large, "\n", "\r\n"), "", "Subject: d\r\n\r\nx\r\n"}
	mb, err := d.Open(context.Background(), n, mailbox.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		c, err := mb.Open(m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(c)
		if err != nil || string(text) != want[m.Seq-1] || m.Size != int64(len(text)) {
			t.Errorf("message %d: %d octets, size %d, want %d, %v", m.Seq, len(text), m.Size, len(want[m.Seq-1]), err)
		}
	}
	if err := mb.Close(); err != nil {
		t.Error(err)
	}

	cut := gzipped(t, large)
	if err := os.WriteFile(n.Path+"/cur/5.e:2,S", cut[:len(cut)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if mb, err = d.Open(context.Background(), n, mailbox.ReadOnly); err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	if _, err = mb.Open(5); !errors.Is(err, mailbox.ErrCorrupt) || !strings.Contains(err.Error(), "message 5: the compressed data end too early") {
		t.Errorf("a message that is cut: got %v", err)
	}
}
