package maildir

import (
	"io/fs"
	"syscall"
)

// inode is the number of a file, by which one that was replaced is known.
func inode(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}
