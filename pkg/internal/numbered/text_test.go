package numbered_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/mailbox"
)

// Messages that are read in order are read ahead; what somebody does to them
// meanwhile is seen all the same.
func TestTextsAhead(t *testing.T) {
	const count, step = 40, 3 // numbers are 3, 6, 9 ...
	d := numbered.Dir{FS: fsx.OS{}, Path: t.TempDir()}
	same := func(uint32, fs.FileInfo) bool { return true }
	texts := numbered.Texts{Dir: d, Same: same, At: func(i int) uint32 {
		if i >= count {
			return 0
		}
		return uint32(i+1) * step
	}}
	defer texts.Forget()
	text := func(i int) string { return fmt.Sprintf("text %d", i) }
	for i := range count {
		if err := os.WriteFile(d.File(texts.At(i)), []byte(text(i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(i int) (string, error) {
		if _, err := texts.Measure(texts.At(i)); err != nil {
			return "", err
		}
		c, err := texts.Open(texts.At(i))
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(c)
		return string(b), err
	}
	for i := range 10 {
		if got, err := read(i); got != text(i) || err != nil {
			t.Errorf("message %d: got %q, %v", i, got, err)
		}
	}
	other := d.Path + "/other"
	err := errors.Join(
		os.WriteFile(d.File(texts.At(11)), []byte("longer than before"), 0o600),
		os.Remove(d.File(texts.At(12))),
		os.WriteFile(other, []byte("TEXT 13"), 0o600), os.Rename(other, d.File(texts.At(13))))
	if err != nil {
		t.Fatal(err)
	}
	for i := 10; i < count; i++ {
		got, err := read(i)
		want := map[int]string{11: "longer than before", 13: "TEXT 13"}[i]
		if want == "" {
			want = text(i)
		}
		if i == 12 && !errors.Is(err, mailbox.ErrChanged) || i != 12 && (got != want || err != nil) {
			t.Errorf("message %d: got %q, %v, want %q", i, got, err, want)
		}
	}
	if got, err := read(5); got != text(5) || err != nil { // out of order
		t.Errorf("message 5: got %q, %v", got, err)
	}
	if _, err := texts.Open(7); !errors.Is(err, mailbox.ErrChanged) { // which was never there
		t.Errorf("got %v", err)
	}
}
