package numbered

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"mailutil/pkg/internal/inspect"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A Mender is a Format with what it takes to inspect and to repair its mailboxes.
// It stands apart, so that programs that do neither do without.
type Mender struct {
	*Format

	// Suspect is Place for one that may have lost its state file.
	Suspect func(n mailbox.Name) (string, error)

	// Examine reports what is wrong with the state file.
	Examine func(s *Survey)

	// Mend plans the new content of a state file that is damaged.
	Mend func(m *Mending)
}

// A Survey looks at one mailbox: at its state file, in which the offsets are,
// and at every message.
type Survey struct {
	*inspect.File
	Dir     Dir
	Octets  []byte // of the state file
	Has     bool   // there is one
	Other   bool   // something else has its name
	List    Listing
	Shut    []string // files that their owner may not read
	Broken  error    // why a message cannot be read that its owner may
	Pending bool     // a change was interrupted

	f *Mender
}

// Inspect looks at the state file, in which the offsets are, and at every
// message.
func (m *Mender) Inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	in, err := m.survey(ctx, n, report, func(*Survey) error { return nil })
	return in, m.Fail("check", n, err)
}

// survey looks at the mailbox n, and calls then for what it found.
func (m *Mender) survey(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error, then func(*Survey) error) (mailbox.Inspection, error) {
	path, err := m.Suspect(n)
	if err != nil {
		return mailbox.Inspection{}, err
	}
	s := &Survey{f: m, Dir: Dir{FS: m.FS, Path: path}}
	look := inspect.Look{FS: m.FS, Driver: m.Files.Format, Path: path + "/" + m.StateFile, Lock: m.Lock, Report: report}
	fi, err := m.FS.Stat(look.Path)
	if s.Has = err == nil && fi.Mode().IsRegular(); s.Has && isShut(fi) {
		s.Shut = []string{m.StateFile}
	}
	if _, err := m.FS.Lstat(look.Path); err == nil {
		s.Other = !s.Has
	}
	if !s.Has || len(s.Shut) > 0 {
		look.Path, look.Lock = path, lock.Chain() // nothing to lock
	}
	return inspect.Run(ctx, look, func(file *inspect.File) error {
		s.File = file
		if err := s.run(); err != nil {
			return err
		}
		return then(s)
	})
}

func (s *Survey) run() (err error) {
	if s.List, err = s.Dir.List(); err != nil {
		return err
	}
	s.In.Path = s.Dir.Path
	if s.Has && len(s.Shut) == 0 {
		s.Octets = make([]byte, s.Size)
		if _, err := s.ReadAt(s.Octets, 0); err != nil && s.Size > 0 {
			return err
		}
	} else {
		s.In.Size = 0 // of the directory
	}
	if len(s.Shut) > 0 {
		s.Damage(s.f.Files.Format+".unreadable", inspect.Beside, 0, "%s may not be read by its owner", s.f.StateFile)
		return s.Err
	}
	changing, err := journal.Pending(s.Dir.Path+"/"+s.f.StateFile, s.f.Journal())
	if err != nil {
		return err
	}
	s.Pending = changing || s.List.Plan
	if changing {
		s.Damage(s.f.Files.Format+".journal", inspect.Beside, 0,
			"a change of %s was interrupted: open the mailbox for writing, which finishes the change, and check it again", s.f.StateFile)
	}
	if s.Other {
		s.Damage(s.f.Files.Format+".state-file", inspect.Beside, 0, "%s is no file", s.f.StateFile)
	}
	s.f.Examine(s)
	s.look()
	return s.Err
}

// isShut reports whether a file may not be read by its owner, as everybody but
// root is told when he opens it.
func isShut(fi fs.FileInfo) bool { return fi.Mode()&0o400 == 0 }

// shown is how many names a finding tells.
const shown = 5

// look reports what is wrong with the directory and its messages.
func (s *Survey) look() {
	if s.List.Plan {
		s.Damage(s.f.Files.Format+".plan", inspect.Beside, 0,
			"a change of the mailbox was interrupted: open it for writing, which finishes the change, and check it again")
	}
	if hidden := s.List.Hidden; len(hidden) > 0 {
		s.Doubt(s.f.Files.Format+".leftover", inspect.Beside, 0,
			"%d hidden files are of deliveries that are under way or were killed; they go after 36 hours: %s", len(hidden), some(hidden))
	}
	for _, name := range s.List.Strays {
		s.Damage(s.f.Files.Format+".stray", inspect.Beside, 0, "the name %s is of digits but no message: its mail, if it has any, is seen by no reader", name)
	}
	for i, n := range s.List.Numbers {
		if s.Stopped() {
			return
		}
		s.lookAt(uint32(i)+1, n)
	}
}

func some(names []string) string {
	if len(names) > shown {
		return strings.Join(names[:shown], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}

// lookAt reports what is wrong with one message.
func (s *Survey) lookAt(seq, n uint32) {
	s.In.Messages++
	prefix := s.f.Files.Format
	file, fi, err := s.Dir.OpenQuiet(n)
	if errors.Is(err, fs.ErrNotExist) {
		return // expunged meanwhile
	}
	if errors.Is(err, fs.ErrPermission) || err == nil && isShut(fi) {
		s.Shut = append(s.Shut, strconv.FormatUint(uint64(n), 10))
		s.Damage(prefix+".unreadable", inspect.Beside, seq, "file %d may not be read by its owner", n)
	} else if err != nil {
		s.unreadable(seq, n, err)
	}
	if err != nil {
		return
	}
	defer file.Close() // read only
	s.In.Size += fi.Size()
	if fi.Size() == 0 {
		s.Doubt(prefix+".empty", inspect.Beside, seq, "file %d is empty: a delivery was killed, or the disk was full", n)
		return
	}
	var t tally
	if _, err := io.CopyBuffer(&t, io.NewSectionReader(file, 0, fi.Size()), make([]byte, 64<<10)); err != nil {
		s.unreadable(seq, n, err)
		return
	}
	if t.nuls > 0 {
		s.Doubt(prefix+".nuls", inspect.Beside, seq, "file %d has %d NULs: blocks that were never written, or mail that has them", n, t.nuls)
	}
	if !s.f.LF && t.lfs > 0 {
		s.Doubt(prefix+".bare-lf", inspect.Beside, seq, "file %d has %d lines that end in LF alone, which readers are not told otherwise", n, t.lfs)
	}
	if t.last != '\n' {
		s.Doubt(prefix+".no-newline", inspect.Beside, seq, "file %d does not end with a line end: it may have been cut", n)
	}
}

func (s *Survey) unreadable(seq, n uint32, err error) {
	s.Broken = fmt.Errorf("file %d of %s cannot be read: %w", n, s.Dir.Path, err)
	s.Damage(s.f.Files.Format+".unreadable", inspect.Beside, seq, "file %d cannot be read: %v", n, err)
}

// A tally counts octets that are not usual in a message.
type tally struct {
	nuls, lfs int
	last      byte
}

func (t *tally) Write(p []byte) (int, error) {
	t.nuls += bytes.Count(p, []byte{0})
	pairs := bytes.Count(p, []byte("\r\n"))
	if t.last == '\r' && len(p) > 0 && p[0] == '\n' {
		pairs++
	}
	t.lfs += bytes.Count(p, []byte("\n")) - pairs
	if len(p) > 0 {
		t.last = p[len(p)-1]
	}
	return len(p), nil
}
