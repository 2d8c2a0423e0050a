package numbered

import (
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// A Stamp tells whether somebody has written to a file or a directory.
type Stamp struct {
	size  int64
	mtime time.Time
	sure  bool // it was old enough when it was looked at to tell a later change
}

// settles is how near to now a time may not tell a change from one to come: the
// clock of files is coarse.
const settles = 2 * time.Second

// StampOf looks at a name.
func StampOf(fsys fsx.FS, path string, now time.Time) Stamp {
	fi, err := fsys.Stat(path)
	if err != nil {
		return Stamp{sure: true}
	}
	return Stamp{fi.Size(), fi.ModTime(), now.Sub(fi.ModTime()) > settles}
}

// Unchanged reports whether is, of now, shows that nobody has written since.
func (s Stamp) Unchanged(is Stamp) bool {
	return s.sure && is.size == s.size && is.mtime.Equal(s.mtime)
}

// The years that the original can show.
const firstYear, lastYear = 1970, 2097

// Mtime returns the modification time that keeps an internal date, but for its
// zone. altered says that it keeps another one.
func Mtime(d mailbox.Date, now time.Time) (at time.Time, altered bool) {
	if d.IsZero() {
		return time.Unix(now.Unix(), 0), false
	}
	at = d.Time()
	if y := at.UTC().Year(); y < firstYear || y > lastYear {
		return time.Unix(now.Unix(), 0), true
	}
	return at, false
}
