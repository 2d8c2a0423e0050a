package fsx

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// wholes are the file systems of which it is known that all of it is on the disk
// when syncfs(2) returns. Others may have a server that is not asked.
var wholes = []uint32{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC}

// Since 5.8 syncfs tells an error of any file that was written since the
// descriptor was opened.
const tellsMajor, tellsMinor = 5, 8

// openFS opens the file system of a directory.
func openFS(dir string) (WholeFS, error) {
	if !syncfsTells() {
		return nil, errors.ErrUnsupported
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	var st unix.Statfs_t
	err = unix.Fstatfs(int(f.Fd()), &st)
	if err == nil && !slices.Contains(wholes, uint32(st.Type)) {
		err = errors.ErrUnsupported
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return wholeFS{f}, nil
}

func syncfsTells() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	parts := strings.FieldsFunc(unix.ByteSliceToString(u.Release[:]), func(c rune) bool { return c < '0' || c > '9' })
	if len(parts) < 2 {
		return false
	}
	major, _ := strconv.Atoi(parts[0])
	minor, _ := strconv.Atoi(parts[1])
	return major > tellsMajor || major == tellsMajor && minor >= tellsMinor
}

// A wholeFS is a file system, by one of its directories.
type wholeFS struct{ dir *os.File }

func (w wholeFS) Sync() error {
	for {
		err := unix.Syncfs(int(w.dir.Fd()))
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return &os.PathError{Op: "syncfs", Path: w.dir.Name(), Err: err}
		}
	}
}

func (w wholeFS) Close() error { return w.dir.Close() }

// crowd is how many octets may wait for the disks, whoever wrote them, when one
// is still told to write all of them.
const crowd = 512 << 20

func (wholeFS) Crowded() bool {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return true
	}
	return waiting(text) > crowd
}

// waiting adds up what waits for the disk, in octets.
func waiting(meminfo []byte) (sum int64) {
	for line := range strings.Lines(string(meminfo)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "Dirty:" && f[0] != "Writeback:" {
			continue
		}
		kilo, _ := strconv.ParseInt(f[1], 10, 64)
		sum += kilo << 10
	}
	return sum
}
