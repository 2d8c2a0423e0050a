//go:build darwin || freebsd

package mailboxtest

import (
	"io/fs"
	"syscall"
	"time"
)

// accessTime returns when a file was read last.
func accessTime(fi fs.FileInfo) time.Time {
	st := fi.Sys().(*syscall.Stat_t)
	return time.Unix(int64(st.Atimespec.Sec), int64(st.Atimespec.Nsec))
}
