package fsx

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// OpenQuiet opens a file for reading so that its access time stays, where the
// system lets us: programs tell new mail by it. It does not wait for the writer
// of a pipe.
func OpenQuiet(fsys FS, path string) (File, error) {
	f, err := fsys.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|NoAtime, 0)
	if NoAtime != 0 && errors.Is(err, fs.ErrPermission) { // not our file
		return fsys.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}
	return f, err
}

// ReadDir calls each for what is in a directory, in no order, and leaves its
// access time alone. Some entries are read at a time.
func ReadDir(fsys FS, dir string, each func(e fs.DirEntry)) error {
	f, err := OpenQuiet(fsys, dir)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	for {
		entries, err := f.OS().ReadDir(1024)
		for _, e := range entries {
			each(e)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
