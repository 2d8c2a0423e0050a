// Package journal changes a mailbox file in place so that a power cut or a
// kill at any instant leaves the old octets or the new ones, never a mixture,
// and keeps the file's inode.
//
// What is to be written is made durable in a side file first, then copied into
// the mailbox, then the side file is removed, durably, or made void. Whoever opens the
// mailbox next and finds a side file finishes the work (Recover), under the
// mailbox's exclusive lock. The side file is .NAME.journal beside the mailbox,
// or in the user's state directory where that directory is not writable, or
// somebody else has made a file of that name in a directory for all.
//
// What a power cut leaves, step by step:
//
//	while the side file is written   old octets; the side file has no commit record and is dropped
//	once the side file is durable    any mixture; Recover copies all of it again
//	once the mailbox is durable      new octets; Recover copies the same again
//	once the side file is gone       new octets; one that is void is dropped where it is still there
package journal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/winread"
)

// Options say where side files may go.
type Options struct {
	FS       fsx.FS // nil: the real one
	StateDir string // for mailboxes in directories that are not writable; created 0700
}

func (o Options) fs() fsx.FS {
	if o.FS == nil {
		return fsx.OS{}
	}
	return o.FS
}

// beside is the side file of the mailbox at path, in its own directory: that
// of the file itself, whatever links lead there.
func beside(path string) string {
	path = real(path)
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".journal")
}

func real(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return path // no such file: nothing leads there
}

// away is the side file in the state directory, "" where there is none.
func (o Options) away(path string) string {
	if o.StateDir == "" {
		return ""
	}
	sum := fnv.New128a() // not crypto: that is a tenth of a delivery agent
	_, _ = io.WriteString(sum, real(path))
	return filepath.Join(o.StateDir, hex.EncodeToString(sum.Sum(nil))+".journal")
}

// ErrUnfinished is what Commit's error is when the change is durable but not
// carried out; it will be, by the next Recover.
var ErrUnfinished = errors.New("interrupted change, will be finished when the mailbox is opened next")

// A Journal is one change of one file. The caller holds the file's exclusive
// lock from New to the end of Commit or Abort.
type Journal struct {
	fsys fsx.FS
	f    fsx.File // the mailbox
	side fsx.File
	name string // of side
	w    writer
	old  int64           // size of f when the change began
	low  int64           // lowest offset that is written to
	win  *winread.Window // on f, for Copy
	tail bool            // it is an append
	done bool
}

// New begins a change of f, which is open for reading and writing.
func New(f fsx.File, o Options) (*Journal, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	side, err := create(f.Name(), o)
	if err != nil {
		return nil, err
	}
	j := &Journal{fsys: o.fs(), f: f, side: side, name: side.Name(), old: fi.Size(), low: fi.Size()}
	j.w.to, j.w.behind = side, fsx.NewBehind(side, 0)
	h, err := describe(f, fi)
	if err == nil {
		err = j.w.header(h)
	}
	if err != nil {
		return nil, errors.Join(err, j.Abort())
	}
	return j, nil
}

// create makes the side file, exclusively: one that exists should have been
// seen to by Recover.
func create(path string, o Options) (fsx.File, error) {
	const flags = os.O_RDWR | os.O_CREATE | os.O_EXCL | syscall.O_NOFOLLOW
	f, err := o.fs().OpenFile(beside(path), flags, 0o600)
	if !noneBeside(err) && !o.inTheWay(err, path) || o.StateDir == "" {
		return f, err
	}
	if err := os.MkdirAll(o.StateDir, 0o700); err != nil {
		return nil, err
	}
	return o.fs().OpenFile(o.away(path), flags, 0o600)
}

// inTheWay reports whether a side file could not be made because of a foreign
// one.
func (o Options) inTheWay(err error, path string) bool {
	if !errors.Is(err, fs.ErrExist) {
		return false
	}
	fi, err := o.fs().Lstat(beside(path))
	return err == nil && o.foreign(fi, path)
}

// noneBeside reports whether there can be no side file beside a mailbox: the
// directory is not writable, or the name would be too long.
func noneBeside(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENAMETOOLONG)
}

// At begins a segment: what follows goes to offset off of the new file.
// Segments ascend and do not overlap. Octets of the file that no segment
// covers stay as they are.
func (j *Journal) At(off int64) error {
	if off < j.w.next {
		return fmt.Errorf("journal: segment at %d begins before %d", off, j.w.next)
	}
	j.low = min(j.low, off)
	return j.w.at(off)
}

// Write adds new octets to the segment.
func (j *Journal) Write(p []byte) (int, error) { return j.w.Write(p) }

// Copy adds n octets of the file as it is now, from offset off. It goes through
// a window, so that many small pieces of the file are few reads.
func (j *Journal) Copy(off, n int64) error {
	if j.win == nil {
		j.win = winread.New(j.f, windowSize, j.old)
	}
	for n > 0 {
		b, err := j.win.From(off)
		if err == nil && len(b) == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		b = b[:min(int64(len(b)), n)]
		if _, err := j.w.Write(b); err != nil {
			return err
		}
		off, n = off+int64(len(b)), n-int64(len(b))
	}
	return nil
}

// windowSize is what fits into the processor's cache with a record.
const windowSize = 256 << 10

// Offset is where the next Write goes in the new file.
func (j *Journal) Offset() int64 { return j.w.next }

// Commit makes the change: journal durable, file changed and cut or grown to
// size, file durable, journal gone. After an error the file is untouched (cut
// back, where octets were only added to its end), or the next Recover finishes
// the change (errors.Is ErrUnfinished): then nobody may write before that.
func (j *Journal) Commit(size int64) error {
	if err := reserve(j.f, j.old, size); err != nil {
		return errors.Join(err, j.Abort())
	}
	err := j.w.commit(j.old, size)
	if err == nil {
		err = j.side.Sync()
	}
	if err == nil {
		err = j.fsys.SyncDir(filepath.Dir(j.name))
	}
	if err != nil {
		if aerr := j.Abort(); aerr != nil { // the commit record may stand
			return fmt.Errorf("%w: %w", ErrUnfinished, errors.Join(err, aerr))
		}
		return err
	}
	if err := apply(j.f, j.side, size); err != nil {
		return j.undo(err, size)
	}
	j.done = true
	if err := errors.Join(j.retire(), j.side.Close()); err != nil {
		return fmt.Errorf("%w: %w", ErrUnfinished, err) // all but the side file
	}
	return nil
}

// retire removes the side file, durably. After an append, which mail waits for,
// it is only made one of no change, by its own octets: to sync the directory
// takes the disk much longer.
func (j *Journal) retire() error {
	if !j.tail {
		return errors.Join(j.fsys.Remove(j.name), j.fsys.SyncDir(filepath.Dir(j.name)))
	}
	_, err := j.side.WriteAt(make([]byte, headerSize), 0)
	if err == nil {
		err = fsx.SyncData(j.side)
	}
	return errors.Join(err, j.fsys.Remove(j.name))
}

// undo gives up a change that could not be carried out: an append is cut back,
// anything else waits for Recover.
func (j *Journal) undo(cause error, size int64) error {
	if j.low < j.old || size < j.old {
		j.done = true
		return fmt.Errorf("%w: %w", ErrUnfinished, errors.Join(cause, j.side.Close()))
	}
	if err := errors.Join(j.f.Truncate(j.old), j.f.Sync()); err != nil {
		j.done = true
		return fmt.Errorf("%w: %w", ErrUnfinished, errors.Join(cause, err, j.side.Close()))
	}
	return errors.Join(cause, j.Abort())
}

// Abort forgets the change; safe after Commit.
func (j *Journal) Abort() error {
	if j.done {
		return nil
	}
	j.done = true
	// The commit record must be gone for good before the file changes again.
	return errors.Join(j.side.Truncate(0), j.fsys.Remove(j.name), j.side.Close())
}

// A Tail is an append: octets written behind the end of a file, all of which
// are kept or none.
type Tail struct{ j *Journal }

// Append begins an append at the end of f as it is now.
func Append(f fsx.File, o Options) (*Tail, error) {
	j, err := New(f, o)
	if err != nil {
		return nil, err
	}
	if err := j.At(j.old); err != nil {
		return nil, errors.Join(err, j.Abort())
	}
	j.tail = true
	return &Tail{j}, nil
}

// Write adds octets.
func (t *Tail) Write(p []byte) (int, error) { return t.j.Write(p) }

// Offset is the file offset of the next octet.
func (t *Tail) Offset() int64 { return t.j.Offset() }

// Commit makes the octets part of the file, durably. After an error the file
// is as it was.
func (t *Tail) Commit() error { return t.j.Commit(t.j.Offset()) }

// Abort leaves the file as it was; safe after Commit.
func (t *Tail) Abort() error { return t.j.Abort() }
