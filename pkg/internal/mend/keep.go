package mend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// copyFile copies a file, or lets the copy share its octets, and gives it the
// same owner.
func copyFile(ctx context.Context, fsys fsx.FS, to, from fsx.File, fi fs.FileInfo) error {
	if !cloned(fsys, to, from) {
		if err := copyOctets(ctx, to, from, fi.Size()); err != nil {
			return err
		}
	}
	Own(to.OS(), fi)
	return nil
}

// copyOctets copies a file in large pieces.
func copyOctets(ctx context.Context, to io.WriterAt, from io.ReaderAt, size int64) error {
	buf := make([]byte, 1<<20)
	for off := int64(0); off < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := from.ReadAt(buf[:min(int64(len(buf)), size-off)], off)
		if n == 0 {
			if err == io.EOF {
				err = mailbox.ErrChanged
			}
			return err
		}
		if _, err := to.WriteAt(buf[:n], off); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// cloned lets the copy share the octets on the disk, where the file system can.
func cloned(fsys fsx.FS, to, from fsx.File) bool {
	if _, real := fsys.(fsx.OS); !real { // others want to see what is written
		return false
	}
	return clone(to.OS(), from.OS()) == nil
}

// A Keeper keeps the original of a mailbox that is a directory: copies of its
// own files, and second names of those of messages that are to change, in
// NAME.orig-TIMESTAMP. That is made under the hidden name .NAME.orig-new and
// appears whole.
type Keeper struct {
	FS     fsx.FS
	Dir    string   // the mailbox
	As     string   // NAME, where it is not Dir
	Names  []string // of its files, in Dir or in directories there
	Linked []string // of files that nobody writes to: they are kept without their octets being copied
	In     string   // directory for the original, "" for that of NAME
	Now    time.Time
}

// Keep copies the files, with their modes, owners and times, and returns the
// name of the copy.
func (k *Keeper) Keep(ctx context.Context) (path string, err error) {
	as := k.Dir
	if k.As != "" {
		as = k.As
	}
	in, name := filepath.Dir(as), filepath.Base(as)
	if k.In != "" {
		in = k.In
	}
	hidden := filepath.Join(in, "."+name+".orig-new")
	if err := fsx.MakeDirs(k.FS, in, 0o700); err != nil {
		return "", err
	}
	if err := RemoveDir(k.FS, hidden); err != nil { // what a kill has left
		return "", err
	}
	if err := k.copyTo(ctx, hidden); err != nil {
		return "", errors.Join(err, RemoveDir(k.FS, hidden))
	}
	base := filepath.Join(in, name+".orig-"+k.Now.UTC().Format("20060102T150405Z"))
	path = base
	for n := 2; ; n++ {
		if _, err := k.FS.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil || n > 1000 {
			return "", errors.Join(err, fs.ErrExist, RemoveDir(k.FS, hidden))
		}
		path = fmt.Sprintf("%s-%d", base, n)
	}
	if err := k.FS.Rename(hidden, path); err != nil {
		return "", errors.Join(err, RemoveDir(k.FS, hidden))
	}
	return path, k.FS.SyncDir(in)
}

// copyTo makes the directory and the copies, durably.
func (k *Keeper) copyTo(ctx context.Context, hidden string) error {
	dir, err := k.FS.Stat(k.Dir)
	if err != nil {
		return err
	}
	if err := k.FS.Mkdir(hidden, dir.Mode().Perm()|0o700); err != nil {
		return err
	}
	if st, ok := owner(dir); ok {
		os.Chown(hidden, int(st.Uid), int(st.Gid)) // only root may
	}
	made := []string{hidden}
	for i, name := range slices.Concat(k.Names, k.Linked) {
		sub := filepath.Dir(filepath.Join(hidden, name))
		if err := k.FS.Mkdir(sub, dir.Mode().Perm()|0o700); err == nil {
			made = append(made, sub)
		} else if !errors.Is(err, fs.ErrExist) {
			return err
		}
		put := k.copy
		if i >= len(k.Names) {
			put = k.link
		}
		if err := put(ctx, filepath.Join(hidden, name), filepath.Join(k.Dir, name)); err != nil {
			return err
		}
	}
	slices.Reverse(made)
	for _, dir := range made {
		if err := k.FS.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// link gives a file a second name, or copies it where it can have none.
func (k *Keeper) link(ctx context.Context, path, original string) error {
	if err := k.FS.Link(original, path); err == nil {
		return nil
	}
	return k.copy(ctx, path, original)
}

func (k *Keeper) copy(ctx context.Context, path, original string) (err error) {
	from, err := fsx.OpenQuiet(k.FS, original)
	if err != nil {
		return err
	}
	defer from.Close() // nothing was written
	fi, err := from.Stat()
	if err != nil {
		return err
	}
	to, err := k.FS.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, fi.Mode().Perm())
	if err != nil {
		return err
	}
	err = errors.Join(to.Chmod(fi.Mode().Perm()), copyFile(ctx, k.FS, to, from, fi))
	if err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err == nil {
		k.FS.Chtimes(path, accessTime(from), fi.ModTime())
	}
	return err
}

// RemoveDir removes a directory and what is in it; that there is none is well.
func RemoveDir(fsys fsx.FS, dir string) error {
	var all []fs.DirEntry
	err := fsx.ReadDir(fsys, dir, func(e fs.DirEntry) { all = append(all, e) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range all {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			err = errors.Join(err, RemoveDir(fsys, path))
		} else {
			err = errors.Join(err, fsys.Remove(path))
		}
	}
	if err != nil {
		return err
	}
	return fsys.Remove(dir)
}
