package mbx

import (
	"context"
	"io"
	"os"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Driver is the mbx format. Its fields may be set before first use.
type Driver struct {
	FS  fsx.FS // the file calls of writers
	PID uint32 // what to write as LASTPID: our process id

	env   *mailbox.Env
	spool mailbox.Driver
}

var (
	_ mailbox.Driver   = (*Driver)(nil)
	_ mailbox.Creator  = (*Driver)(nil)
	_ mailbox.Deleter  = (*Driver)(nil)
	_ mailbox.Renamer  = (*Driver)(nil)
	_ mailbox.Appender = (*Driver)(nil)
	_ mailbox.Placer   = (*Driver)(nil)
	_ mailbox.Counter  = (*Driver)(nil)
)

// New returns the driver. spool reads the system INBOX, from which new mail
// goes to an INBOX of this format; nil leaves it where it is.
func New(env *mailbox.Env, spool mailbox.Driver) *Driver {
	return &Driver{FS: fsx.OS{}, PID: uint32(os.Getpid()), env: env, spool: spool}
}

// Name returns "mbx".
func (d *Driver) Name() string { return "mbx" }

// Place returns the path of the mailbox n; that of INBOX is ~/INBOX.
func (d *Driver) Place(n mailbox.Name) (string, error) {
	if !n.Inbox {
		return n.Path, nil
	}
	inbox, err := d.env.Resolve("~/INBOX")
	return inbox.Path, err
}

// Probe reports whether n is a file that begins with a file block.
func (d *Driver) Probe(n mailbox.Name) (bool, error) {
	path, err := d.Place(n)
	if err != nil {
		return false, err
	}
	ok := false
	err = d.files().Peek(path, func(f fsx.File) (err error) {
		_, ok, err = readBlock(f)
		return err
	})
	return ok, d.fail("open", n, err)
}

// readBlock reads the file block; ok is false where there is none.
func readBlock(f fsx.File) (k block, ok bool, err error) {
	b := make([]byte, blockSize)
	n, err := f.ReadAt(b, 0)
	if n < blockSize {
		if err == io.EOF {
			err = nil
		}
		return block{}, false, err
	}
	k, ok = parseBlock(b)
	return k, ok, nil
}

// files opens mailboxes of this format.
func (d *Driver) files() flocked.Files { return flocked.Files{FS: d.FS, Env: d.env, Format: d.Name()} }

// fail makes err an *Error about n.
func (d *Driver) fail(op string, n mailbox.Name, err error) error { return d.files().Fail(op, n, err) }

func (d *Driver) journal() journal.Options { return d.files().Journal() }

// tempLock takes the lock /tmp/.DEV.INO on f: whoever parses or changes a
// mailbox holds it.
func (d *Driver) tempLock(ctx context.Context, f fsx.File) (lock.Held, error) {
	return d.files().TempLock(ctx, f, lock.Exclusive)
}

// openLocked opens the file at path and takes its locks.
func (d *Driver) openLocked(ctx context.Context, path string, flag int) (fsx.File, lock.Held, error) {
	return d.files().OpenLocked(ctx, path, flag, lock.Exclusive)
}
