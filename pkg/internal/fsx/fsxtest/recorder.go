// Package fsxtest breaks writers on purpose. A Recorder remembers what a
// writer does to a directory and builds every state that a power cut could
// have left; a Faulty makes the n-th call fail.
package fsxtest

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailutil/pkg/internal/fsx"
)

// An op is one change of the file system, on an inode or on names.
type op struct {
	kind kind
	ino  int
	off  int64
	data []byte
	size int64
	name string // the name that appears (or goes: unlink)
	gone string // rename: the name that goes
}

type kind int

const (
	opWrite kind = iota
	opTruncate
	opSync
	opName   // name now is ino
	opUnlink // name is gone
	opMkdir
	opSyncDir
	opRenameDir // directory gone now is name
	opSyncFS    // of everything
)

// A Recorder is a file system below one directory that remembers what was
// done. It is not safe for concurrent use.
type Recorder struct {
	fsx.OS
	root  string
	base  map[string][]byte // files at the beginning
	dirs  []string          // directories at the beginning
	names map[string]int    // inodes now
	inos  int
	first map[string]int // inodes at the beginning
	ops   []op
}

// Record returns a Recorder for what happens below root from now on.
func Record(t testing.TB, root string) *Recorder {
	t.Helper()
	r := &Recorder{root: root, base: map[string][]byte{}, names: map[string]int{}, first: map[string]int{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			r.dirs = append(r.dirs, path)
			return nil
		}
		b, err := os.ReadFile(path)
		r.base[path] = b
		r.inos++
		r.names[path], r.first[path] = r.inos, r.inos
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Len is how many operations were recorded.
func (r *Recorder) Len() int { return len(r.ops) }

func (r *Recorder) add(o op) {
	if strings.HasPrefix(o.name, r.root) || o.name == "" {
		r.ops = append(r.ops, o)
	}
}

func (r *Recorder) OpenFile(name string, flag int, perm fs.FileMode) (fsx.File, error) {
	f, err := r.OS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	if fi, err := f.Stat(); err != nil || fi.IsDir() { // to read names, nothing to record
		return f, err
	}
	if _, known := r.names[name]; !known {
		r.inos++
		r.names[name] = r.inos
		r.add(op{kind: opName, ino: r.inos, name: name})
	}
	if flag&os.O_TRUNC != 0 {
		r.add(op{kind: opTruncate, ino: r.names[name]})
	}
	return &recorded{f, r, r.names[name]}, nil
}

func (r *Recorder) Link(old, new string) error {
	if err := r.OS.Link(old, new); err != nil {
		return err
	}
	r.names[new] = r.names[old]
	r.add(op{kind: opName, ino: r.names[old], name: new})
	return nil
}

func (r *Recorder) Rename(old, new string) error {
	if err := r.OS.Rename(old, new); err != nil {
		return err
	}
	ino, isFile := r.names[old]
	if !isFile {
		renameBelow(r.names, old, new)
		r.add(op{kind: opRenameDir, name: new, gone: old})
		return nil
	}
	r.names[new] = ino
	delete(r.names, old)
	r.add(op{kind: opName, ino: ino, name: new, gone: old})
	return nil
}

// renameBelow gives what is below the directory old its names below new.
func renameBelow[V any](names map[string]V, old, new string) {
	for path, v := range maps.Clone(names) {
		if below, ok := strings.CutPrefix(path, old+"/"); ok {
			delete(names, path)
			names[new+"/"+below] = v
		}
	}
}

func (r *Recorder) Remove(name string) error {
	if err := r.OS.Remove(name); err != nil {
		return err
	}
	delete(r.names, name)
	r.add(op{kind: opUnlink, name: name})
	return nil
}

func (r *Recorder) Mkdir(name string, perm fs.FileMode) error {
	if err := r.OS.Mkdir(name, perm); err != nil {
		return err
	}
	r.add(op{kind: opMkdir, name: name})
	return nil
}

func (r *Recorder) SyncDir(dir string) error {
	if err := r.OS.SyncDir(dir); err != nil {
		return err
	}
	r.add(op{kind: opSyncDir, name: dir})
	return nil
}

// OpenFS takes all that is recorded for one file system.
func (r *Recorder) OpenFS(string) (fsx.WholeFS, error) { return recordedFS{r}, nil }

type recordedFS struct{ r *Recorder }

func (w recordedFS) Sync() error {
	w.r.add(op{kind: opSyncFS})
	return nil
}

func (recordedFS) Close() error  { return nil }
func (recordedFS) Crowded() bool { return false }

// A recorded is an open file of a Recorder.
type recorded struct {
	fsx.File
	r   *Recorder
	ino int
}

func (f *recorded) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	if n > 0 {
		f.r.ops = append(f.r.ops, op{kind: opWrite, ino: f.ino, off: off, data: append([]byte(nil), p[:n]...)})
	}
	return n, err
}

func (f *recorded) Truncate(size int64) error {
	if err := f.File.Truncate(size); err != nil {
		return err
	}
	f.r.ops = append(f.r.ops, op{kind: opTruncate, ino: f.ino, size: size})
	return nil
}

func (f *recorded) Sync() error {
	if err := f.File.Sync(); err != nil {
		return err
	}
	f.r.ops = append(f.r.ops, op{kind: opSync, ino: f.ino})
	return nil
}
