package fsx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// guard looks at every file that OS opens, nil for nobody.
var guard func(dir, file unix.Stat_t) error

// Guard has look judge every file that OS opens from now on, by its descriptor
// and that of its directory, before anybody reads or writes it. Such files are
// opened below the descriptor of the directory, and their last name may not be
// a symbolic link. Programs that write for others set it once, before they
// open anything. It is of the whole process because the rights of a process
// are.
func Guard(look func(dir, file unix.Stat_t) error) { guard = look }

// openGuarded is os.OpenFile below a descriptor of the directory.
func openGuarded(name string, flag int, perm fs.FileMode) (*os.File, error) {
	fail := func(err error) error { return &os.PathError{Op: "open", Path: name, Err: err} }
	dir, err := ignoringEINTR(func() (int, error) {
		return unix.Open(filepath.Dir(name), dirFlags|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, fail(err)
	}
	defer unix.Close(dir) // nothing is written to it
	base := filepath.Base(name)
	fd, err := ignoringEINTR(func() (int, error) {
		return unix.Openat(dir, base, flag|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(perm.Perm()))
	})
	if err != nil {
		return nil, fail(err)
	}
	f := os.NewFile(uintptr(fd), name)
	var ds, st unix.Stat_t
	err = unix.Fstat(dir, &ds)
	if err == nil {
		err = unix.Fstat(fd, &st)
	}
	if err == nil {
		uncountHidden(dir, base, &st)
		err = guard(ds, st)
	}
	if err != nil {
		return nil, fail(errors.Join(err, f.Close()))
	}
	return f, nil
}

// uncountHidden takes the hidden name of a file that is being published, or
// whose writer was killed just after that, for no link of it: see NewFile.
func uncountHidden(dir int, base string, st *unix.Stat_t) {
	if st.Nlink != 2 {
		return
	}
	var hidden unix.Stat_t
	err := unix.Fstatat(dir, "."+base+".new", &hidden, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil && hidden.Dev == st.Dev && hidden.Ino == st.Ino {
		st.Nlink = 1
	}
}

func ignoringEINTR(open func() (int, error)) (int, error) {
	for {
		fd, err := open()
		if err != unix.EINTR {
			return fd, err
		}
	}
}
