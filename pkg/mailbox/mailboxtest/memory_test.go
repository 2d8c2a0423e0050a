package mailboxtest_test

import (
	"context"
	"errors"
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// Formats on one disk see each other's names.
func TestBeside(t *testing.T) {
	ctx := context.Background()
	env := mailboxtest.NewEnv(t)
	unix := mailboxtest.NewMemory(env, "unix")
	mbx := unix.Beside("mbx")
	ds := mailbox.Drivers{mbx, unix}
	n, other := mailbox.Name{Text: "x", Path: "/x"}, mailbox.Name{Text: "y", Path: "/y"}
	for name, err := range map[string]error{"x": unix.Create(ctx, n), "y": mbx.Create(ctx, other)} {
		if err != nil {
			t.Fatalf("create %s: %v", name, err)
		}
	}
	for n, want := range map[mailbox.Name]string{n: "unix", other: "mbx"} {
		if d, err := ds.Find(n); err != nil || d.Name() != want {
			t.Errorf("find %s: got %v, %v, want %s", n.Text, d, err, want)
		}
	}
	for what, got := range map[string]struct{ err, want error }{
		"create": {mbx.Create(ctx, n), mailbox.ErrExist},
		"rename": {mbx.Rename(ctx, other, n), mailbox.ErrExist},
		"delete": {mbx.Delete(ctx, n), mailbox.ErrFormat},
		"append": {second(mbx.Append(ctx, n, mailbox.AppendOptions{})), mailbox.ErrFormat},
		"new":    {second(mbx.Append(ctx, n, mailbox.AppendOptions{New: true})), mailbox.ErrExist},
		"open":   {second(mbx.Open(ctx, n, mailbox.ReadOnly)), mailbox.ErrFormat},
	} {
		if !errors.Is(got.err, got.want) {
			t.Errorf("%s over another format: got %v, want %v", what, got.err, got.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }
