package numbered

import (
	"io/fs"
	"syscall"
	"time"
)

// changed is when anything about a file changed last: its modification time
// may be the date of a message.
func changed(fi fs.FileInfo) time.Time {
	return time.Unix(fi.Sys().(*syscall.Stat_t).Ctim.Unix())
}

// Accessed is when a file was read last.
func Accessed(fi fs.FileInfo) time.Time {
	return time.Unix(fi.Sys().(*syscall.Stat_t).Atim.Unix())
}
