package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/packed"
	"mailutil/pkg/mailbox"
)

// A Driver reads and writes streams. The fields may be set before first use.
type Driver struct {
	In       io.Reader   // standard input; nil: there is none
	Out      io.Writer   // standard output; nil: there is none
	Compress Compression // of what is written
	Dialect  Dialect     // of what is read and written; plain mbox files are read, too, where one is set

	// Thunderbird has plain mbox files read, too, and From_ lines without a date
	// taken for such: a file that begins with one is MboxRD.
	Thunderbird bool

	env *mailbox.Env
	fs  fsx.FS
}

var (
	_ mailbox.Driver   = (*Driver)(nil)
	_ mailbox.Appender = (*Driver)(nil)
)

// New returns the driver.
func New(env *mailbox.Env, in io.Reader, out io.Writer) *Driver {
	return &Driver{In: in, Out: out, env: env, fs: fsx.OS{}}
}

// A Dialect is a dialect of mbox.
type Dialect = mbox.Dialect

// ParseDialect finds the dialect of a name, one of Dialects.
func ParseDialect(name string) (Dialect, bool) {
	i := slices.Index(mbox.Dialects[:], name)
	return Dialect(max(i, 0)), i > 0
}

// Dialects are the names of the dialects that can be asked for.
func Dialects() []string { return mbox.Dialects[1:] }

// Name returns "stream".
func (d *Driver) Name() string { return "stream" }

// Probe reports whether n is "-", a compressed mbox, or a pipe under /dev.
func (d *Driver) Probe(n mailbox.Name) (bool, error) {
	if n.Space != "" {
		return n.Space == d.Name(), nil
	}
	if n.Path == "" {
		return false, nil
	}
	fi, err := d.fs.Stat(n.Path)
	switch {
	case node.Gone(err):
		return false, nil
	case err != nil:
		return false, d.fail("open", n, err)
	case fi.Mode()&fs.ModeNamedPipe != 0:
		return strings.HasPrefix(n.Path, "/dev/"), nil
	case !fi.Mode().IsRegular():
		return false, nil
	}
	f, err := fsx.OpenQuiet(d.fs, n.Path)
	if errors.Is(err, fs.ErrPermission) { // whose it is, who opens it will say
		return false, nil
	}
	if err != nil {
		return false, d.fail("open", n, err)
	}
	defer f.Close() // only read
	mark := make([]byte, packed.MarkLen)
	k, err := f.ReadAt(mark, 0)
	if err != nil && err != io.EOF {
		return false, d.fail("open", n, err)
	}
	if d.Dialect != mbox.AsOriginal || d.Thunderbird {
		if ok, err := mbox.Probe(f); ok || err != nil {
			return ok, err
		}
	}
	if d.Thunderbird {
		if ok, err := mbox.ProbeBare(f); ok || err != nil {
			return ok, err
		}
	}
	return packed.Of(mark[:k]) != None && packsMbox(f), nil
}

// probeLen is how much of an archive is looked at to see what is in it: more than
// the first block of bzip2 may have, which cannot be unpacked in part.
const probeLen = 1 << 20

// packsMbox reports whether what is compressed in f begins as an mbox, or is
// nothing. Other compressed files are like any other file.
func packsMbox(f io.ReaderAt) bool {
	unpacked, stop, err := packed.Unpack(io.NewSectionReader(f, 0, probeLen))
	if err != nil {
		return false
	}
	defer stop()
	head := make([]byte, 1024)
	n, err := io.ReadFull(unpacked, head)
	if n == 0 {
		return err == io.EOF
	}
	ok, err := mbox.Probe(bytes.NewReader(head[:n]))
	return ok && err == nil
}

func (d *Driver) fail(op string, n mailbox.Name, err error) error {
	if err == nil {
		return nil
	}
	return &mailbox.Error{Op: op, Driver: d.Name(), Name: n.Text, Off: -1, Err: err}
}

// Open opens a stream and reads its first message. It is read-only in either
// mode.
func (d *Driver) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b := &box{d: d, name: n, path: n.Path, validity: uint32(d.env.Now().Unix())}
	if err := b.openFile(); err != nil {
		return nil, err
	}
	if err := b.begin(); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	if m == mailbox.ReadWrite {
		d.env.Notify(mailbox.Info, fmt.Sprintf("%s can only be read", b.called()))
	}
	return b, nil
}

// openFile opens what the octets come from.
func (b *box) openFile() error {
	if b.name.Space != "" {
		if b.d.In == nil {
			return b.d.fail("open", b.name, errors.New("there is no standard input"))
		}
		b.path, b.raw = "-", b.d.In
		return nil
	}
	f, err := b.d.open(b.name)
	if err != nil {
		return err
	}
	b.f, b.raw = f, f
	fi, err := f.Stat()
	if err != nil {
		return errors.Join(b.d.fail("open", b.name, err), f.Close())
	}
	b.again = fi.Mode().IsRegular()
	return nil
}

// whyNot says why a name is no stream.
func (d *Driver) whyNot(n mailbox.Name) error {
	if n.Path == "" {
		return mailbox.ErrFormat
	}
	fi, err := d.fs.Stat(n.Path)
	switch {
	case err != nil:
		return mailbox.ErrNotExist
	case !fi.Mode().IsRegular():
		return mailbox.ErrNotMailbox
	}
	return mailbox.ErrFormat
}

func (d *Driver) open(n mailbox.Name) (*os.File, error) {
	is, err := d.Probe(n)
	if err == nil && !is {
		err = d.fail("open", n, d.whyNot(n))
	}
	if err != nil {
		return nil, err
	}
	f, err := fsx.OpenQuiet(d.fs, n.Path)
	if err != nil {
		return nil, d.fail("open", n, err)
	}
	// A pipe is waited for, once it is open.
	if err := syscall.SetNonblock(int(f.OS().Fd()), false); err != nil {
		return nil, errors.Join(d.fail("open", n, err), f.Close())
	}
	return f.OS(), nil
}
