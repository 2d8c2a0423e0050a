package flocked

import (
	"time"

	"golang.org/x/sys/unix"

	"mailutil/pkg/internal/fsx"
)

// Stamps are the times of a file, zero where they are not to be had.
type Stamps struct {
	Access time.Time
	Data   time.Time // when it was written to
	Inode  time.Time // when anything about it changed
}

// Times returns the times of f.
func Times(f fsx.File) Stamps {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.OS().Fd()), &st); err != nil {
		return Stamps{}
	}
	return Stamps{
		Access: time.Unix(st.Atim.Unix()),
		Data:   time.Unix(st.Mtim.Unix()),
		Inode:  time.Unix(st.Ctim.Unix()),
	}
}
