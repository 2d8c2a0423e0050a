package ops

import (
	"io/fs"
	"syscall"
	"time"
)

// accessed is when a file was last read.
func accessed(fi fs.FileInfo) time.Time {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fi.ModTime()
	}
	return time.Unix(st.Atim.Unix())
}
