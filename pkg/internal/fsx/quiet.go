package fsx

import (
	"errors"
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
