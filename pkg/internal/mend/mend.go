package mend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/mailbox"
)

// A Job gives a file its new content.
type Job struct {
	FS      fsx.FS
	Journal journal.Options
	File    fsx.File // open for reading and writing; the caller has it to himself
	Image   *Image
	Lost    []Lost
	From    io.ReaderAt // of the octets of Lost; nil: the file
	KeepIn  string      // directory for the original, "" for that of the file
	Now     time.Time

	// Verify looks at the new content and compares it with what was planned.
	Verify func(ctx context.Context, r io.ReaderAt, size int64) error
}

// Run keeps the original, verifies the new content, sets aside what was lost
// and replaces the content in place (shape: replace, through a journal). Mode,
// owner and times of the file stay. After an error the file is as it was, or
// the next opener finishes the change (journal.ErrUnfinished).
func (j *Job) Run(ctx context.Context) (made mailbox.RepairFiles, err error) {
	fi, err := j.File.Stat()
	if err != nil {
		return made, err
	}
	accessed := accessTime(j.File)
	j.Image.Source(j.File)
	if made.Original, err = j.prepare(ctx, fi, accessed); err != nil {
		return made, err
	}
	aside := Aside{FS: j.FS, Name: j.File.Name(), Lost: j.Lost, From: j.From, Now: j.Now}
	if aside.From == nil {
		aside.From = j.File
	}
	if err := aside.Write(&made, filepath.Base(made.Original)); err != nil {
		return made, err
	}
	if err := ctx.Err(); err != nil {
		return made, err
	}
	if err := j.replace(); err != nil {
		return made, err
	}
	// That times cannot be set does no harm to mail.
	j.FS.Chtimes(j.File.Name(), accessed, fi.ModTime())
	return made, nil
}

// prepare verifies the new content and keeps the original, both at a time: each
// reads the whole file, and most of the time the disk or one processor is idle. A
// file system of tests, which count the calls, sees one behind the other.
func (j *Job) prepare(ctx context.Context, fi fs.FileInfo, accessed time.Time) (original string, err error) {
	keeping, stop := context.WithCancel(ctx)
	defer stop()
	var kept sync.WaitGroup
	var keepErr error
	keep := func() { original, keepErr = j.keep(keeping, fi, accessed) }
	_, real := j.FS.(fsx.OS)
	if real {
		kept.Go(keep)
	}
	if err = j.Verify(ctx, j.Image, j.Image.Size()); err != nil {
		err = fmt.Errorf("the repaired mailbox does not stand the test, nothing was changed: %w", err)
		stop()
	} else if !real {
		keep()
	}
	if kept.Wait(); err == nil {
		return original, keepErr
	}
	if real && keepErr == nil {
		err = errors.Join(err, j.FS.Remove(original))
	}
	return "", err
}

// replace writes what differs, through a journal.
func (j *Job) replace() error {
	jo, err := journal.New(j.File, j.Journal)
	if err != nil {
		return err
	}
	if err := j.Image.write(jo); err != nil {
		return errors.Join(err, jo.Abort())
	}
	return jo.Commit(j.Image.Size())
}

// keep copies the file to NAME.orig-TIMESTAMP, with its mode, owner and times.
func (j *Job) keep(ctx context.Context, fi fs.FileInfo, accessed time.Time) (string, error) {
	dir := j.KeepIn
	if dir == "" {
		dir = filepath.Dir(j.File.Name())
	}
	base := filepath.Base(j.File.Name()) + ".orig-" + j.Now.UTC().Format("20060102T150405Z")
	for n := 1; ; n++ {
		path := filepath.Join(dir, base)
		if n > 1 {
			path = fmt.Sprintf("%s-%d", path, n)
		}
		err := j.copyTo(ctx, path, fi, accessed)
		if !errors.Is(err, fs.ErrExist) || n > 1000 {
			return path, err
		}
	}
}

func (j *Job) copyTo(ctx context.Context, path string, fi fs.FileInfo, accessed time.Time) error {
	to, err := fsx.CreateNew(j.FS, path, fi.Mode().Perm(), 0o700)
	if err != nil {
		return err
	}
	if err := copyFile(ctx, j.FS, to, j.File, fi); err != nil {
		return errors.Join(err, to.Abort())
	}
	if err := to.Publish(); err != nil {
		return errors.Join(err, to.Abort())
	}
	j.FS.Chtimes(path, accessed, fi.ModTime())
	return to.Abort()
}

func accessTime(f fsx.File) time.Time {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.OS().Fd()), &st); err != nil {
		return time.Time{}
	}
	return time.Unix(st.Atim.Unix())
}
