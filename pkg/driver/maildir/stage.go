package maildir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"mailutil/pkg/internal/crlf"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

const (
	bufferSize = 64 << 10 // how much of a text is read and written at once
	onTheirWay = 16       // texts that were read and are not yet written
)

// Internal dates that are kept: file systems have others, but not all of them.
const (
	firstYear = 1902
	lastYear  = 2097
)

// A staged is a message of a delivery.
type staged struct {
	file       string // "new/X" or "cur/X"; "" as long as it is in tmp
	disk, crlf int64
	keywords   uint64 // bits of AppendOptions.Keywords
	uid        uint32
	system     mailbox.SystemFlags
}

// A stage takes the messages of a delivery: into tmp, from where they get their
// names at its end, or, where nobody sees the Maildir yet, to their names at
// once.
type stage struct {
	d      *Driver
	dir    string
	direct bool // nobody sees the Maildir
	names  *namer
	prefix string
	items  []staged
	texts  fsx.Together
	like   fs.FileInfo // of the first message; nil when not asked for
	alone  bool        // no message can be taken with its file
	failed error

	in, out []byte
	free    chan []byte // what out was, and is written
	lf      crlf.ToLF   // of the text under way
	read    int64       // octets of it
}

func (d *Driver) newStage(dir string) *stage {
	s := &stage{d: d, dir: dir, names: newNamer(d.env.Host), texts: fsx.Together{FS: d.fs, Dir: dir}}
	s.prefix = s.names.next(d.env.Now())
	s.free = make(chan []byte, onTheirWay)
	for range onTheirWay {
		s.free <- nil
	}
	return s
}

// tmp is the file of message i before it has its name.
func (s *stage) tmp(i int) string { return fmt.Sprintf("tmp/%s.%d", s.prefix, i) }

// take takes one message, whose keywords have the letters of w.
func (s *stage) take(it mailbox.Item, w *wish) (a mailbox.Altered, err error) {
	if s.failed != nil {
		return a, s.failed
	}
	st, lost := w.staged(it)
	a, err = s.add(it, st, w)
	a.Keywords += lost
	s.failed = overQuota(err)
	return a, s.failed
}

// add writes one message. A small one is written while the next is read.
func (s *stage) add(it mailbox.Item, st staged, w *wish) (a mailbox.Altered, err error) {
	s.lf, s.read = crlf.ToLF{}, 0
	whole, err := s.next(it.Text)
	if err == nil && whole {
		st.disk = int64(len(s.out))
		err = s.count(it, &st)
	}
	if err != nil {
		return a, err
	}
	date, ok := storable(it.Date, s.d.env.Now)
	if !ok {
		a.Dates++
	}
	file := s.tmp(len(s.items))
	unique := ""
	if s.direct {
		unique = s.names.next(s.d.env.Now())
	}
	if s.direct && whole {
		st.file = st.named(unique, w.letters)
		file = st.file
	}
	path := s.dir + "/" + file
	f, err := s.create(path)
	if err != nil {
		return a, err
	}
	s.items = append(s.items, st)
	last := &s.items[len(s.items)-1]
	if whole {
		a.LineEnds += s.lf.Bare
		err = s.late(f, path, date, &a)
		return a, err
	}
	if err = s.text(f, it, last); err == nil {
		err = s.d.fs.Chtimes(path, time.Now(), date)
	}
	if err == nil {
		err = checkDate(f, date, &a)
	}
	if err != nil {
		return a, errors.Join(err, f.Close())
	}
	a.LineEnds += s.lf.Bare
	if s.direct {
		last.file = last.named(unique, w.letters)
		if err := s.d.fs.Rename(path, s.dir+"/"+last.file); err != nil {
			return a, errors.Join(err, f.Close())
		}
	}
	return a, s.texts.Add(f)
}

// late has the text written that was read, all of it.
func (s *stage) late(f fsx.File, path string, date time.Time, a *mailbox.Altered) error {
	text := s.out
	write := func() error {
		_, err := f.WriteAt(text, 0)
		if err == nil {
			err = s.d.fs.Chtimes(path, time.Now(), date)
		}
		return err
	}
	if !everywhere(date) {
		err := write()
		if err == nil {
			err = checkDate(f, date, a)
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
		return s.texts.Add(f)
	}
	s.out = <-s.free
	return s.texts.AddLate(f, func() error {
		err := write()
		s.free <- text
		return err
	})
}

// next reads what comes next of a text to out, and reports whether that is the
// end of it.
func (s *stage) next(text io.Reader) (end bool, err error) {
	if s.in == nil {
		s.in = make([]byte, bufferSize)
	}
	s.out = s.out[:0]
	for len(s.out) < bufferSize {
		n, err := text.Read(s.in)
		s.read += int64(n)
		s.out = s.lf.Append(s.out, s.in[:n])
		if err == io.EOF {
			s.out = s.lf.Flush(s.out)
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// text writes a text whose beginning was read.
func (s *stage) text(f fsx.File, it mailbox.Item, st *staged) (err error) {
	behind := fsx.NewBehind(f, 0)
	for end := false; ; {
		n, err := f.WriteAt(s.out, st.disk)
		st.disk += int64(n)
		behind.Wrote(st.disk)
		if err != nil {
			return err
		}
		if end {
			return s.count(it, st)
		}
		if end, err = s.next(it.Text); err != nil {
			return err
		}
	}
}

// count counts a text that was read to its end.
func (s *stage) count(it mailbox.Item, st *staged) error {
	if it.Size >= 0 && s.read != it.Size {
		return fmt.Errorf("message has %d octets, not %d as was said", s.read, it.Size)
	}
	st.crlf = s.read + int64(s.lf.Bare)
	return nil
}

// create makes the file of a message.
func (s *stage) create(path string) (fsx.File, error) {
	mode := s.d.env.Config.MailboxMode
	f, err := s.d.fs.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err == nil && mode&^0o700 != 0 { // others no umask takes away
		if err := f.Chmod(mode); err != nil {
			return nil, errors.Join(err, f.Close(), s.d.fs.Remove(path))
		}
	}
	return f, err
}

// everywhere reports whether all file systems keep a date.
func everywhere(date time.Time) bool { return date.Unix() == int64(int32(date.Unix())) }

// checkDate counts a date that this file system has not kept.
func checkDate(f fsx.File, date time.Time, a *mailbox.Altered) error {
	if everywhere(date) {
		return nil
	}
	fi, err := f.Stat()
	if err == nil && !fi.ModTime().Equal(date) {
		a.Dates++
	}
	return err
}

// storable is the time for a file: now for no date, or one that cannot be kept
// (ok is false then). Seconds are kept, zones are not. A file of the first
// second of 1970 would be taken for one whose date was lost.
func storable(d mailbox.Date, now func() time.Time) (t time.Time, ok bool) {
	if d.IsZero() {
		return now().Truncate(time.Second), true
	}
	t = d.Time()
	if d.Year < firstYear || d.Year > lastYear || d.Month == 0 || d.Day == 0 || t.Unix() == 0 {
		return now().Truncate(time.Second), false
	}
	return t, true
}

// named is the file of a message whose text was counted.
func (st *staged) named(unique string, letters func(bits uint64) uint32) string {
	name := fmt.Sprintf("%s,S=%d,W=%d", unique, st.disk, st.crlf)
	if l := letters(st.keywords); st.system != 0 || l != 0 {
		return "cur/" + withFlags(name, st.system, l)
	}
	return "new/" + name
}

// steps give the messages their names. letters are those of keyword bits.
func (s *stage) steps(letters func(bits uint64) uint32) []step {
	steps := make([]step, len(s.items))
	for i := range s.items {
		steps[i] = step{s.tmp(i), s.items[i].named(s.names.next(s.d.env.Now()), letters)}
	}
	return steps
}

// abort removes the messages that are still in tmp.
func (s *stage) abort() error {
	err := s.texts.Close()
	for i := range s.items {
		err = errors.Join(err, ignoreGone(s.d.fs.Remove(s.dir+"/"+s.tmp(i))))
	}
	s.items = nil
	return err
}
