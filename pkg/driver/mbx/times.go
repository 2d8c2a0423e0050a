package mbx

import (
	"time"

	"golang.org/x/sys/unix"

	"mailutil/pkg/internal/fsx"
)

// stamps are the times of a file, zero where they are not to be had.
type stamps struct {
	access time.Time
	data   time.Time // when it was written to
	inode  time.Time // when anything about it changed
}

// times returns the times of f.
func times(f fsx.File) stamps {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.OS().Fd()), &st); err != nil {
		return stamps{}
	}
	return stamps{
		access: time.Unix(st.Atim.Unix()),
		data:   time.Unix(st.Mtim.Unix()),
		inode:  time.Unix(st.Ctim.Unix()),
	}
}
