package swap

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestWaiters(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("nobody is seen here")
	}
	dir := t.TempDir()
	w := Watch(filepath.Join(dir, "box"))
	defer w.Close()
	for _, tt := range []struct {
		name string
		want bool
	}{
		{"other", false},
		{"other.lock", false},
		{"box.lock", true},
		{"box.lock.1700000000.123.host", true}, // a hitching post
		{"x", false},
	} {
		must(t, os.WriteFile(filepath.Join(dir, tt.name), nil, 0o600))
		if got := w.Came(); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "box.lock2"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "last"), nil, 0o600))
	if !w.Came() {
		t.Error("two at once: nobody was seen")
	}
	if w := Watch(filepath.Join(dir, "none", "box")); w.Came() {
		t.Error("no directory: somebody was seen")
	}
}
