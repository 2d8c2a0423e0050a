package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"mailutil/pkg/internal/fsx"
)

// Pending reports whether the mailbox at path has a side file that Recover
// should see. It costs one lstat (two with a state directory).
func Pending(path string, o Options) (bool, error) {
	name, err := find(path, o)
	return name != "", err
}

// Moves reports whether the mailbox at path has a side file of a change that
// moves octets of the old file. One that does not only adds octets to its end,
// or changes some of its octets in place: it may be finished while others read
// what they know of the file.
func Moves(path string, o Options) (bool, error) {
	name, err := find(path, o)
	if name == "" || err != nil {
		return false, err
	}
	side, err := o.fs().OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer side.Close() // read only
	r := &recovery{side: side}
	committed, err := r.read()
	return committed && (r.after < r.before || r.after > r.before && r.low < r.h.old), err
}

// find returns the side file of the mailbox at path, "" for none.
func find(path string, o Options) (string, error) {
	for _, name := range []string{beside(path), o.away(path)} {
		if name == "" {
			continue
		}
		fi, err := o.fs().Lstat(name)
		if err == nil && o.foreign(fi, path) {
			continue
		}
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENAMETOOLONG) {
			return "", err
		}
	}
	return "", nil
}

// foreign reports whether a side file is of somebody who has no business with
// the mailbox at path: in a directory where anybody can make files, one of
// another user than the mailbox's, root, and ourselves. It is neither believed
// nor in the way.
func (o Options) foreign(side fs.FileInfo, path string) bool {
	owner, known := ownerOf(side)
	if !known || owner == 0 || int(owner) == os.Geteuid() {
		return false
	}
	dir, err := o.fs().Stat(filepath.Dir(real(path)))
	if err != nil || dir.Mode()&0o002 == 0 {
		return false
	}
	box, err := o.fs().Stat(path)
	if err != nil {
		return true
	}
	his, _ := ownerOf(box)
	return his != owner
}

func ownerOf(fi fs.FileInfo) (uid uint32, known bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return st.Uid, true
}

// Recover finishes what an interrupted Commit left. The caller holds the
// exclusive lock on f, which is open for reading and writing. What was
// appended to the file by others since the interruption is kept behind the
// finished change. Did is "" where nothing was to be done, else a sentence for
// the user. A side file that does not belong to the mailbox as it is now is
// kept under another name, and the mailbox left alone.
func Recover(f fsx.File, o Options) (did string, err error) {
	name, err := find(f.Name(), o)
	if err != nil || name == "" {
		return "", err
	}
	side, err := o.fs().OpenFile(name, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnfinished, err)
	}
	defer func() { err = errors.Join(err, side.Close()) }()
	r := &recovery{fsys: o.fs(), f: f, side: side, name: name}
	return r.run()
}

// A recovery is one side file found, and its mailbox.
type recovery struct {
	fsys fsx.FS
	f    fsx.File
	side fsx.File
	name string

	h             header
	records       int64 // where the records begin in the side file
	end           int64 // and where the last commit record ends
	before, after int64 // what the last commit record says
	low           int64 // lowest offset that is written to
}

func (r *recovery) run() (string, error) {
	committed, err := r.read()
	if err != nil {
		return "", err
	}
	if !committed { // the mailbox has not been touched
		return "", r.remove()
	}
	fi, err := r.f.Stat()
	if err != nil {
		return "", err
	}
	foreign, ok, err := r.fits(fi)
	if err != nil {
		return "", err
	}
	if !ok {
		return r.setAside()
	}
	if foreign < fi.Size() && foreign != r.after {
		if err := r.adopt(foreign, fi.Size()); err != nil {
			return "", err
		}
	} else if foreign < fi.Size() {
		r.after = fi.Size() // it stands where it belongs
	}
	if err := apply(r.f, r.side, r.after); err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnfinished, err)
	}
	return fmt.Sprintf("finished an interrupted change of %s", r.f.Name()), r.remove()
}

func (r *recovery) remove() error {
	return errors.Join(r.fsys.Remove(r.name), r.fsys.SyncDir(filepath.Dir(r.name)))
}

// read reads the side file as far as it is whole.
func (r *recovery) read() (committed bool, err error) {
	if r.h, r.records, err = readHeader(r.side); err != nil {
		if err == errNoHeader {
			err = nil
		}
		return false, err
	}
	rd := reader{from: r.side, pos: r.records}
	r.low = r.h.old
	for {
		rec, ok, err := rd.next()
		if err != nil || !ok {
			return committed, err
		}
		if rec.off != commitOff {
			r.low = min(r.low, rec.off)
			continue
		}
		committed, r.end = true, rd.pos
		r.before, r.after = rec.sizes()
	}
}

// fits reports whether the mailbox is the one that the side file was written
// for, in any state of the change, and where in it octets of others begin
// (its size, where there are none). It is not bound to the inode: a copy
// restored from a backup fits.
func (r *recovery) fits(fi fs.FileInfo) (foreign int64, ok bool, err error) {
	if st, is := fi.Sys().(*syscall.Stat_t); is && (st.Uid != r.h.uid || st.Gid != r.h.gid) ||
		uint32(fi.Mode().Perm()) != r.h.mode {
		return 0, false, nil
	}
	size := fi.Size()
	if size < min(r.before, r.after) {
		return 0, false, nil
	}
	if ok, err := r.oldOrNew(r.h.head, 0, size); !ok || err != nil {
		return 0, false, err
	}
	if size >= r.before {
		ok, err := r.oldOrNew(r.h.tail, r.h.old-int64(len(r.h.tail)), size)
		if err != nil {
			return 0, false, err
		}
		if ok {
			foreign, err := r.grown(size)
			return foreign, true, err
		}
	}
	// Cut to its new size already, perhaps with mail behind.
	if r.after > r.before {
		return 0, false, nil
	}
	ok, err = r.isNew(r.after-min(r.after, sampleSize), r.after)
	return r.after, ok, err
}

// isNew reports whether all that the change writes to [from, to) stands there.
func (r *recovery) isNew(from, to int64) (bool, error) {
	now := make([]byte, to-from)
	if err := readFull(r.f, now, from); err != nil {
		return false, err
	}
	changed := bytes.Clone(now)
	err := r.overlay(changed, from)
	return bytes.Equal(now, changed), err
}

// grown returns where octets of others begin in a file of which the old part
// is known: behind the new end if what lies between old and new end is ours or
// a hole, as far as the file goes, else behind the old end.
func (r *recovery) grown(size int64) (int64, error) {
	end := min(r.after, size)
	if end <= r.before {
		return r.before, nil
	}
	buf := make([]byte, sampleSize)
	for off := r.before; off < end; off += sampleSize {
		hole := buf[:min(sampleSize, end-off)]
		clear(hole)
		if ok, err := r.oldOrNew(hole, off, size); !ok || err != nil {
			return r.before, err
		}
	}
	return end, nil
}

// oldOrNew reports whether each octet of the mailbox at off is the old one, as
// given, or the new one, as far as the mailbox goes. A power cut tears writes
// between sectors, a full disk between any two octets.
func (r *recovery) oldOrNew(old []byte, off, size int64) (bool, error) {
	n := min(int64(len(old)), size-off)
	if n <= 0 {
		return true, nil
	}
	old = old[:n]
	now := make([]byte, n)
	if err := readFull(r.f, now, off); err != nil {
		return false, err
	}
	changed := bytes.Clone(old)
	if err := r.overlay(changed, off); err != nil {
		return false, err
	}
	for i, c := range now {
		if c != old[i] && c != changed[i] {
			return false, nil
		}
	}
	return true, nil
}

// overlay puts what the change writes at off into p.
func (r *recovery) overlay(p []byte, off int64) error {
	rd := reader{from: r.side, pos: r.records}
	for rd.pos < r.end {
		rec, ok, err := rd.next()
		if err != nil || !ok {
			return err
		}
		if rec.off == commitOff || rec.off >= off+int64(len(p)) || rec.off+int64(len(rec.data)) <= off {
			continue
		}
		if rec.off >= off {
			copy(p[rec.off-off:], rec.data)
		} else {
			copy(p, rec.data[off-rec.off:])
		}
	}
	return nil
}

// adopt puts the octets [from, to) of the mailbox, which others appended
// behind the old end, into the change, behind its new end.
func (r *recovery) adopt(from, to int64) error {
	w := writer{to: r.side, pos: r.end, next: r.after, behind: fsx.NewBehind(r.side, r.end)}
	if err := r.side.Truncate(r.end); err != nil {
		return err
	}
	if _, err := fsx.Copy(&w, io.NewSectionReader(r.f, from, to-from), nil); err != nil {
		return err
	}
	after := r.after + to - from
	if err := errors.Join(w.commit(to, after), r.side.Sync()); err != nil {
		return err
	}
	r.end, r.before, r.after = w.pos, to, after
	return nil
}

// setAside gives the side file a name under which it does no harm.
func (r *recovery) setAside() (string, error) {
	name := fmt.Sprintf("%s.%d", r.name, time.Now().UnixNano())
	if err := errors.Join(r.fsys.Rename(r.name, name), r.fsys.SyncDir(filepath.Dir(name))); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s was changed by another program after an interrupted change; what that change would have written is kept in %s",
		r.f.Name(), name), nil
}

// apply copies the change into the mailbox, makes it size octets long, and
// makes that durable.
func apply(f, side fsx.File, after int64) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	size := fi.Size()
	if size < after { // once, so that only two sizes can be found
		if err := f.Truncate(after); err != nil {
			return err
		}
	}
	if err := copyRecords(f, side); err != nil {
		return err
	}
	if size > after { // a file that is cut already holds all of the change
		if err := f.Sync(); err != nil {
			return err
		}
		if err := f.Truncate(after); err != nil {
			return err
		}
	}
	return f.Sync()
}

// copyRecords copies what the side file has into the mailbox.
func copyRecords(f, side fsx.File) error {
	_, pos, err := readHeader(side)
	if err != nil {
		return err
	}
	rd := reader{from: side, pos: pos}
	var behind *fsx.Behind
	for {
		rec, ok, err := rd.next()
		if err != nil || !ok {
			return err
		}
		if rec.off == commitOff {
			continue
		}
		if _, err := f.WriteAt(rec.data, rec.off); err != nil {
			return err
		}
		if behind == nil {
			behind = fsx.NewBehind(f, rec.off)
		}
		behind.Wrote(rec.off + int64(len(rec.data)))
	}
}
