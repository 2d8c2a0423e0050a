package ops_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

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

// Who waits for the lock file of a mailbox writes mbox to it once it is converted,
// if that is what it was when he looked: the new mailbox gets his messages.
func TestConvertWaited(t *testing.T) {
	for _, format := range []string{"mbx", "mtx"} {
		s, home := homeSession(t)
		makeBox(t, s, "unix", "box", 0)
		path := filepath.Join(home, "box")
		wrote := make(chan error, 1)
		for i, d := range s.Drivers {
			if d.Name() == "unix" {
				s.Drivers[i] = &waited{d, func() { wrote <- writeLocked(path, "\n"+oneMessage) }}
			}
		}
		c, err := s.Convert(t.Context(), "box", ops.ConvertOptions{To: format, DropOriginal: true, LoseUIDs: true})
		if err != nil || c.Late != 1 || c.Copied != 3 {
			t.Errorf("%s: got %+v, %v", format, c, err)
		}
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		if n := count(t, s, "box"); n != 4 {
			t.Errorf("%s: %d messages in the new mailbox", format, n)
		}
	}
}

// A waited driver has somebody wait for its locks.
type waited struct {
	mailbox.Driver
	wait func()
}

func (d *waited) Hold(ctx context.Context, n mailbox.Name) (mailbox.Mailbox, error) {
	mb, err := d.Driver.(mailbox.Holder).Hold(ctx, n)
	if err != nil || d.wait == nil {
		return mb, err
	}
	go d.wait()
	d.wait = nil
	return &slow{mb}, nil
}

// A slow mailbox gives him the time to try.
type slow struct{ mailbox.Mailbox }

func (m *slow) Close() error {
	time.Sleep(100 * time.Millisecond)
	return m.Mailbox.Close()
}

// writeLocked adds text to the end of a file, with its lock file taken: each try
// makes a file of its own and links that.
func writeLocked(path, text string) error {
	try := func() error {
		post := path + ".lock.post"
		defer os.Remove(post)
		return errors.Join(os.WriteFile(post, nil, 0o600), os.Link(post, path+".lock"))
	}
	for try() != nil {
		time.Sleep(10 * time.Millisecond)
	}
	defer os.Remove(path + ".lock")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
