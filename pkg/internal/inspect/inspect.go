// Package inspect is what the deep checks of single-file formats have in
// common: a file that is looked at without leaving a trace, and findings that
// are counted and get their line numbers.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A File is a mailbox that is being looked at. The first error of the caller's
// report, or of reading, sticks: it is in Err, and nothing is reported after.
type File struct {
	fsx.File
	Size int64              // octets when it was opened: later ones are not looked at
	In   mailbox.Inspection // what was found so far
	Err  error

	ctx    context.Context
	report func(mailbox.Finding) error
	lines  *winread.Lines
	over   bool // not in a file yet: nothing is beside it
}

// A Look says how a file is looked at.
type Look struct {
	FS     fsx.FS
	Driver string
	Path   string
	Lock   lock.Locker // taken shared; must not leave a trace
	Report func(mailbox.Finding) error
}

// Run opens a file for look, and closes it. The error is mailbox.ErrChanged
// where somebody wrote to the file meanwhile and something was found.
func Run(ctx context.Context, l Look, look func(*File) error) (mailbox.Inspection, error) {
	if err := ctx.Err(); err != nil {
		return mailbox.Inspection{}, err
	}
	f, err := fsx.OpenQuiet(l.FS, l.Path)
	if err != nil {
		return mailbox.Inspection{}, err
	}
	defer f.Close() // nothing was written
	return l.locked(ctx, f, look)
}

// locked looks under the lock.
func (l Look) locked(ctx context.Context, f fsx.File, look func(*File) error) (_ mailbox.Inspection, err error) {
	held, err := l.Lock.Lock(ctx, f.OS(), lock.Shared)
	if err != nil {
		if errors.Is(err, lock.ErrBusy) {
			err = fmt.Errorf("%w: %w", mailbox.ErrBusy, err)
		}
		return mailbox.Inspection{}, err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	fi, err := f.Stat()
	if err != nil {
		return mailbox.Inspection{}, err
	}
	accessed := accessTime(f)
	defer l.restore(f, fi.ModTime(), accessed)
	file := &File{
		File: f, Size: fi.Size(), ctx: ctx, report: l.Report, lines: winread.NewLines(f, fi.Size()),
		In: mailbox.Inspection{Driver: l.Driver, Path: f.Name(), Size: fi.Size()},
	}
	err = look(file)
	if file.Err != nil { // the cause of all that came after it
		err = file.Err
	}
	changed := file.unchanged(fi)
	if errors.Is(err, io.ErrUnexpectedEOF) && changed != nil {
		err = nil // cut while we read
	}
	return file.In, errors.Join(changed, err)
}

// unchanged returns mailbox.ErrChanged where findings may be due to a writer.
func (f *File) unchanged(before fs.FileInfo) error {
	now, err := f.Stat()
	if err != nil {
		return err
	}
	same := now.Size() == before.Size() && now.ModTime().Equal(before.ModTime())
	if same || now.Size() >= before.Size() && f.In.Doubts+f.In.Damages == 0 {
		return nil
	}
	return mailbox.ErrChanged
}

// restore puts the access time back, where looking changed it: programs tell
// new mail by it. Only the owner may.
func (l Look) restore(f fsx.File, modified, accessed time.Time) {
	now, err := f.Stat()
	if err == nil && now.ModTime().Equal(modified) && !accessTime(f).Equal(accessed) {
		l.FS.Chtimes(f.Name(), accessed, modified)
	}
}

func accessTime(f fsx.File) time.Time {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.OS().Fd()), &st); err != nil {
		return time.Time{}
	}
	return time.Unix(st.Atim.Unix())
}

// Over looks at octets that are not in a file yet, of the mailbox at path.
func Over(ctx context.Context, r io.ReaderAt, size int64, driver, path string, report func(mailbox.Finding) error, look func(*File) error) (mailbox.Inspection, error) {
	file := &File{
		File: planned{r: r, path: path}, Size: size, ctx: ctx, report: report, lines: winread.NewLines(r, size), over: true,
		In: mailbox.Inspection{Driver: driver, Path: path, Size: size},
	}
	err := look(file)
	if file.Err != nil {
		err = file.Err
	}
	return file.In, err
}

// planned is a file that is still to be written.
type planned struct {
	fsx.File
	r    io.ReaderAt
	path string
}

func (p planned) ReadAt(b []byte, off int64) (int, error) { return p.r.ReadAt(b, off) }
func (p planned) Name() string                            { return p.path }

// Context is that of the caller.
func (f *File) Context() context.Context { return f.ctx }
