package mix

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Driver is the mix format. FS may be set before first use.
type Driver struct {
	FS fsx.FS // the file calls of writers

	env   *mailbox.Env
	spool mailbox.Driver // reads the system INBOX, nil for none
}

var (
	_ mailbox.Driver   = (*Driver)(nil)
	_ mailbox.Creator  = (*Driver)(nil)
	_ mailbox.Deleter  = (*Driver)(nil)
	_ mailbox.Renamer  = (*Driver)(nil)
	_ mailbox.Appender = (*Driver)(nil)
	_ mailbox.Placer   = (*Driver)(nil)
	_ mailbox.Checker  = (*Driver)(nil)
)

// New returns the driver. spool reads the system INBOX, from which new mail moves
// to an INBOX of this format; it may be nil.
func New(env *mailbox.Env, spool mailbox.Driver) *Driver {
	return &Driver{FS: fsx.OS{}, env: env, spool: spool}
}

// Name returns "mix".
func (d *Driver) Name() string { return "mix" }

// Place returns the directory of the mailbox n; that of INBOX is ~/INBOX.
func (d *Driver) Place(n mailbox.Name) (string, error) {
	path := n.Path
	if n.Inbox {
		inbox, err := d.env.Resolve("~/INBOX")
		if err != nil {
			return "", err
		}
		path = inbox.Path
	}
	return filepath.Clean(path), nil
}

// Probe reports whether n is a directory with metadata in it.
func (d *Driver) Probe(n mailbox.Name) (bool, error) {
	dir, err := d.Place(n)
	if err != nil {
		return false, err
	}
	ok, err := d.isMailbox(dir)
	return ok, d.fail("open", n, err)
}

func (d *Driver) isMailbox(dir string) (bool, error) {
	fi, err := d.FS.Stat(filepath.Join(dir, metaName))
	if node.Gone(err) {
		return false, nil
	}
	return err == nil && fi.Mode().IsRegular(), err
}

// missing is the error for a name that is no mailbox of this format.
func (d *Driver) missing(dir string) error {
	fi, err := d.FS.Stat(dir)
	switch {
	case node.Gone(err):
		return mailbox.ErrNotExist
	case err != nil:
		return err
	case fi.IsDir():
		return mailbox.ErrNotMailbox
	}
	return mailbox.ErrFormat
}

// fail makes err an *Error about n.
func (d *Driver) fail(op string, n mailbox.Name, err error) error {
	return d.files().Fail(op, n, err)
}

func (d *Driver) files() flocked.Files {
	return flocked.Files{FS: d.FS, Env: d.env, Format: d.Name()}
}

// locks returns how locks are waited for.
func (d *Driver) locks() lock.Options { return d.files().Locks() }

func (d *Driver) journal() journal.Options { return journal.Options{FS: d.FS} }

func (d *Driver) warn(format string, args ...any) {
	d.env.Notify(mailbox.Warn, fmt.Sprintf(format, args...))
}

func (d *Driver) info(format string, args ...any) {
	d.env.Notify(mailbox.Info, fmt.Sprintf(format, args...))
}

// corrupt makes the error of damage in a file of the mailbox, in the
// original's words.
func corrupt(file string, off int64, format string, args ...any) error {
	e := mailbox.Sayf(fmt.Errorf("%w: %s", mailbox.ErrCorrupt, file), format, args...)
	e.Off = off
	return e
}

// later returns a sequence behind all that were used: the time, or one more
// than the highest.
func (d *Driver) later(used ...uint32) uint32 {
	next := uint32(max(d.env.Now().Unix(), 1))
	for _, seq := range used {
		next = max(next, seq+1)
	}
	return next
}

// open opens a file; who only reads leaves its access time alone, where that
// is possible.
func (d *Driver) open(path string, flag int) (fsx.File, error) {
	if flag == os.O_RDONLY {
		return fsx.OpenQuiet(d.FS, path)
	}
	return d.FS.OpenFile(path, flag, 0)
}

// entries lists what is in a directory, by name, and leaves its access time
// alone where that is possible.
func entries(dir string) ([]fs.DirEntry, error) {
	var all []fs.DirEntry
	err := fsx.ReadDir(fsx.OS{}, dir, func(e fs.DirEntry) { all = append(all, e) })
	sort.Slice(all, func(i, k int) bool { return all[i].Name() < all[k].Name() })
	return all, err
}
