package mboxfile

import (
	"io/fs"
	"syscall"
	"time"
)

func accessTime(fi fs.FileInfo) time.Time {
	return time.Unix(fi.Sys().(*syscall.Stat_t).Atim.Unix())
}
