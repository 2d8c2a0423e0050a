package ops_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// A rude driver lets somebody who has the file open write to it when the locks
// are given up, whatever the file is called by then.
type rude struct {
	mailbox.Driver
	write func(path string)
	once  bool
}

func (d *rude) Hold(ctx context.Context, n mailbox.Name) (mailbox.Mailbox, error) {
	mb, err := d.Driver.(mailbox.Holder).Hold(ctx, n)
	if err != nil || d.once {
		return mb, err
	}
	d.once = true
	return &rudely{mb, d, n.Path}, nil
}

type rudely struct {
	mailbox.Mailbox
	d    *rude
	path string
}

func (m *rudely) Close() error {
	err := m.Mailbox.Close()
	m.d.write(m.path + ".orig")
	return err
}

// Mail that comes into the original after all is in the new mailbox, too, and
// the original is then only dropped once it is there.
func TestConvertLate(t *testing.T) {
	for _, drop := range []bool{false, true} {
		s, home := homeSession(t)
		makeBox(t, s, "unix", "box", 0)
		for i, d := range s.Drivers {
			if d.Name() == "unix" {
				s.Drivers[i] = &rude{Driver: d, write: func(path string) {
					f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := f.WriteString("\n" + oneMessage); err != nil {
						t.Fatal(err)
					}
					f.Close()
				}}
			}
		}
		c, err := s.Convert(t.Context(), "box", ops.ConvertOptions{To: "mbx", DropOriginal: drop})
		if err != nil || c.Late != 1 || c.Copied != 3 {
			t.Errorf("got %+v, %v", c, err)
		}
		if n := count(t, s, "box"); n != 4 {
			t.Errorf("%d messages in the new mailbox", n)
		}
		if _, err := os.Stat(filepath.Join(home, "box.orig")); (err == nil) == drop {
			t.Errorf("drop %v: the original: %v", drop, err)
		}
	}
}
