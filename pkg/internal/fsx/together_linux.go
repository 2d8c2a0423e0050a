package fsx

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// syncTogether makes files durable by syncfs(2): the octets of each are waited
// for, which tells of errors in writing them, then all that the file system has
// to say about them goes to the disk at once. fsync(2) would flush the cache of
// the disk for each of them. It writes what others have written to this file
// system as well. done is false where it is not known that this is the same as
// fsync(2): with FUSE it is not.
func syncTogether(files []File) (done bool, err error) {
	for _, f := range files {
		if _, real := f.(osFile); !real { // of a test
			return false, nil
		}
	}
	fd := int(files[0].OS().Fd())
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return false, nil
	}
	switch st.Type {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC:
	default:
		return false, nil
	}
	const wait = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	var errs []error
	for _, f := range files {
		if err := unix.SyncFileRange(int(f.OS().Fd()), 0, 0, wait); err != nil {
			errs = append(errs, &fs.PathError{Op: "sync", Path: f.Name(), Err: err})
		}
	}
	if err := unix.Syncfs(fd); err != nil {
		errs = append(errs, &fs.PathError{Op: "sync", Path: files[0].Name(), Err: err})
	}
	return true, errors.Join(errs...)
}
