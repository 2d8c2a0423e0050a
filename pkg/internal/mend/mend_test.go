package mend

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
)

// Where the new content does not stand the test nothing is changed, and no copy
// of the original stays, however far that has got.
func TestUnproven(t *testing.T) {
	const text = "what is there"
	dir := t.TempDir()
	path := filepath.Join(dir, "box")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := fsx.OS{}.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // nothing is written
	image := NewImage(f, int64(len(text)))
	image.Put([]byte("something else"))
	bad := errors.New("bad")
	for _, wait := range []time.Duration{0, 50 * time.Millisecond} {
		j := Job{FS: fsx.OS{}, Journal: journal.Options{}, File: f, Image: image, Now: time.Unix(0, 0), Verify: func(context.Context, io.ReaderAt, int64) error {
			time.Sleep(wait) // the copy may be there by then
			return bad
		}}
		if made, err := j.Run(t.Context()); !errors.Is(err, bad) || made.Original != "" {
			t.Errorf("got %+v, %v", made, err)
		}
		b, err := os.ReadFile(path)
		all, lerr := os.ReadDir(dir)
		if err != nil || lerr != nil || string(b) != text || len(all) != 1 {
			t.Errorf("%q, %v, %v: %v", b, all, err, lerr)
		}
	}
}
