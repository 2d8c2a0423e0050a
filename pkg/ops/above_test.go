package ops_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"mailutil/pkg/ops"
)

// What fails leaves no directory that was made for it, but for those that somebody
// has put something into.
func TestNothingLeftAbove(t *testing.T) {
	s, home := homeSession(t)
	makeBox(t, s, "unix", "src", 0)
	for _, name := range []string{"a/b/../c", "#driver.mbx/a/b/../c", "#driver.mx/a/b/../c"} {
		if _, err := s.Copy(t.Context(), "src", name, ops.CopyOptions{Create: true}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Copy(ctx, "src", "a/b/c", ops.CopyOptions{Create: true, Progress: func(ops.Progress) { cancel() }})
	if err == nil {
		t.Error("cancelled: no error")
	}
	if err := s.Create(t.Context(), "a/b/../c"); err == nil {
		t.Error("create: no error")
	}
	for _, e := range entriesOf(t, home) {
		if e == "a" {
			t.Errorf("left is %s with %v", e, entriesOf(t, filepath.Join(home, e)))
		}
	}
	ctx, cancel = context.WithCancel(t.Context())
	_, err = s.Copy(ctx, "src", "a/b/c", ops.CopyOptions{Create: true, Progress: func(ops.Progress) {
		files(t, home, "a/theirs")
		cancel()
	}})
	if got := entriesOf(t, filepath.Join(home, "a")); err == nil || !slices.Equal(got, []string{"theirs"}) {
		t.Errorf("cancelled, and somebody has come: got %v, %v", got, err)
	}
}
