//go:build darwin || freebsd

package maildir

import (
	"io/fs"
	"syscall"
	"time"
)

// changed is when anything about a file changed last.
func changed(fi fs.FileInfo) time.Time {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fi.ModTime()
	}
	return time.Unix(st.Ctimespec.Unix())
}
