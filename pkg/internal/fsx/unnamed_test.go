package fsx_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"mailutil/pkg/internal/fsx"
)

func TestUnnamed(t *testing.T) {
	dir := t.TempDir()
	f, err := fsx.Unnamed(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.WriteString(f, text); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(text))
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != text {
		t.Errorf("got %q, %v", b, err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("in the directory: %v, %v", names, err)
	}
	if _, err := fsx.Unnamed(filepath.Join(dir, "none")); err == nil {
		t.Error("in a directory that does not exist: got no error")
	}
}
