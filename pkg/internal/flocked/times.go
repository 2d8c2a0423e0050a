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

// Read sets the times as after reading new mail: read now. Like Touch and Alert
// it returns the modification time that the file has then. That times cannot
// be set does no harm to mail.
func (o Files) Read(f fsx.File, path string) (time.Time, error) {
	return o.setTimes(f, path, func(written time.Time) time.Time { return written })
}

// Touch sets the times as after a change by the original: read now, changed
// when it was written, and behind known.
func (o Files) Touch(f fsx.File, path string, known time.Time) (time.Time, error) {
	return o.setTimes(f, path, func(written time.Time) time.Time {
		if !written.After(known) { // the clock of files may be coarse
			return known.Add(time.Microsecond)
		}
		return written
	})
}

// Alert is Touch after a change that sessions of the original should see. They
// compare whole seconds: in the second of the change before, they would not
// look, so the next one is written.
func (o Files) Alert(f fsx.File, path string, known time.Time) (time.Time, error) {
	return o.setTimes(f, path, func(written time.Time) time.Time {
		next := known.Truncate(time.Second).Add(time.Second)
		if written.Before(next) && next.Sub(written) <= time.Second {
			return next
		}
		if !written.After(known) {
			return known.Add(time.Microsecond)
		}
		return written
	})
}

func (o Files) setTimes(f fsx.File, path string, change func(written time.Time) time.Time) (time.Time, error) {
	fi, err := f.Stat()
	if err != nil {
		return time.Time{}, err
	}
	o.FS.Chtimes(path, o.Env.Now(), change(fi.ModTime()))
	if fi, err = f.Stat(); err != nil {
		return time.Time{}, err
	}
	return fi.ModTime(), nil
}
