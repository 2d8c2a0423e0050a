package inspect

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mailutil/pkg/internal/journal"
	"mailutil/pkg/mailbox"
)

// Beside is the offset of findings that are about something beside the file.
const Beside = -1

// ReadAt reads octets. An error sticks: octets that cannot be read are not taken
// for octets that are not there.
func (f *File) ReadAt(b []byte, off int64) (n int, err error) {
	n, err = f.File.ReadAt(b, off)
	if err != nil && err != io.EOF && f.Err == nil {
		f.Err = err
	}
	return n, err
}

// Damage reports damage at off, in message seq (0 for none).
func (f *File) Damage(code string, off int64, seq uint32, format string, args ...any) {
	f.say(mailbox.Finding{Code: code, Off: off, Seq: seq, Severity: mailbox.Damage, Text: fmt.Sprintf(format, args...)})
}

// Doubt reports what is strange at off, in message seq (0 for none).
func (f *File) Doubt(code string, off int64, seq uint32, format string, args ...any) {
	f.say(mailbox.Finding{Code: code, Off: off, Seq: seq, Severity: mailbox.Doubt, Text: fmt.Sprintf(format, args...)})
}

func (f *File) say(g mailbox.Finding) {
	if f.Stopped() {
		return
	}
	if g.Off >= 0 {
		if g.Line, f.Err = f.lines.At(g.Off); f.Err != nil {
			return
		}
	}
	f.In.Count(g)
	if f.report != nil {
		f.Err = f.report(g)
	}
}

// Stopped reports whether there is no use in going on.
func (f *File) Stopped() bool {
	if f.Err == nil {
		f.Err = f.ctx.Err()
	}
	return f.Err != nil
}

// Sides reports what other programs, or a crash, left beside the file: its
// lock file when it is older than stale, an unfinished change, lost octets. It
// returns whether there is an unfinished change.
func (f *File) Sides(env *mailbox.Env, o journal.Options, prefix string, stale time.Duration) (pending bool) {
	if f.over {
		return false
	}
	name := f.Name()
	if stale > 0 {
		if age := f.age(env, name+".lock"); age > stale {
			f.Doubt(prefix+".lock-left", Beside, 0, "%s.lock is %s old: remove it when no program is at work on the mailbox",
				filepath.Base(name), age.Round(time.Minute))
		}
	}
	pending, err := journal.Pending(name, o)
	if err != nil {
		f.Err = errors.Join(f.Err, err)
		return false
	}
	if pending {
		f.Damage(prefix+".journal", Beside, 0,
			"a change of the mailbox was interrupted: open it for writing, which finishes the change, and check it again")
	}
	if fi, err := os.Lstat(name + ".lost"); err == nil && fi.Size() > 0 {
		f.Doubt(prefix+".lost", Beside, 0, "%s.lost has %d octets that were no whole message: look there for mail, then remove it",
			filepath.Base(name), fi.Size())
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.Err = errors.Join(f.Err, err)
	}
	return pending
}

// age is how long ago a file was changed, 0 for none.
func (f *File) age(env *mailbox.Env, name string) time.Duration {
	fi, err := os.Lstat(name)
	if err != nil {
		return 0
	}
	return env.Now().Sub(fi.ModTime())
}
