package numbered

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/mailbox"
)

// A Stage takes messages that are on their way into a directory, each into a
// hidden file there.
type Stage struct {
	Dir
	Mode   fs.FileMode
	Direct bool // nobody sees the directory yet: messages get their numbers at once

	tag   string
	nums  []uint32
	texts fsx.Together
	free  chan *bufio.Writer // that are not in use
}

// writers is how many texts are on their way at a time.
const writers = 16

var changes atomic.Uint32

// newTag names a change as no other is named.
func newTag() string {
	return fmt.Sprintf("%d-%x-%d", os.Getpid(), time.Now().UnixNano(), changes.Add(1))
}

// Add takes message n, which is above those before it, and returns its size.
// The times are those that the file is to have.
func (s *Stage) Add(n uint32, atime, mtime time.Time, write func(io.Writer) error) (size int64, err error) {
	if n > MaxNumber {
		return 0, fmt.Errorf("%d is above the highest number of a message, %d", n, MaxNumber)
	}
	if s.tag == "" {
		s.tag = newTag()
		s.texts = fsx.Together{FS: s.FS, Dir: s.Path}
		s.free = make(chan *bufio.Writer, writers)
		for range writers {
			s.free <- nil
		}
	}
	path := s.hidden(s.tag, n)
	if s.Direct {
		path = s.File(n)
	}
	f, err := s.FS.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, s.Mode)
	if err != nil {
		return 0, mailbox.Sayf(flocked.Classify(err), "Can't create append message: %s", node.Reason(err))
	}
	s.nums = append(s.nums, n)
	buf := <-s.free
	if buf == nil {
		buf = bufio.NewWriterSize(nil, 64<<10)
	}
	out := &counter{to: io.NewOffsetWriter(f, 0), behind: fsx.NewBehind(f, 0)}
	buf.Reset(out)
	if err := write(buf); err != nil {
		s.free <- buf
		return 0, errors.Join(err, f.Close())
	}
	size = out.n + int64(buf.Buffered())
	return size, s.texts.AddLate(f, func() error {
		err := buf.Flush()
		s.free <- buf
		if err == nil && s.Mode&^0o600 != 0 {
			err = f.Chmod(s.Mode) // whatever the umask
		}
		if err == nil {
			err = s.FS.Chtimes(path, atime, mtime)
		}
		return err
	})
}

// A counter counts what goes into a file.
type counter struct {
	to     io.Writer
	behind *fsx.Behind
	n      int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	c.behind.Wrote(c.n)
	return n, err
}

// Still reports whether the hidden files are there: the directory may have been
// replaced by another of its name, or removed, since they were made.
func (s *Stage) Still() (bool, error) {
	if len(s.nums) == 0 || s.Direct {
		return true, nil
	}
	_, err := s.FS.Lstat(s.hidden(s.tag, s.nums[0]))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Sync makes the texts durable, not yet their names.
func (s *Stage) Sync() error { return s.texts.Sync() }

// Count is how many messages there are.
func (s *Stage) Count() int { return len(s.nums) }

// PlaceOne gives the only message the number n, durably, without a plan: the
// rename is the change. The error is fs.ErrExist where the number is taken.
func (s *Stage) PlaceOne(n uint32) error {
	hidden := s.hidden(s.tag, s.nums[0])
	err := fsx.LinkNew(s.FS, hidden, s.File(n))
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	if err == nil {
		err = s.FS.SyncDir(s.Path)
	}
	if err == nil {
		err = s.FS.Remove(hidden)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, s.takeBack(s.nums[0], n))
	}
	s.nums = nil
	return nil
}

// takeBack takes the number at from message n.
func (s *Stage) takeBack(n, at uint32) error {
	hidden := s.hidden(s.tag, n)
	switch _, err := s.FS.Lstat(hidden); {
	case errors.Is(err, fs.ErrNotExist): // renamed, or never there
		err := fsx.MoveNew(s.FS, s.File(at), hidden)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	case err != nil:
		return err
	}
	if !fsx.Same(s.FS, hidden, s.File(at)) {
		return nil
	}
	return s.FS.Remove(s.File(at))
}

// Place gives message N the number base+N, all of them or none. The note is for
// k, should somebody else have to go on.
func (s *Stage) Place(base uint32, note []byte, k Keeper) error {
	p := Plan{kind: planAdd, Tag: s.tag, Base: base, From: 1, Note: note}
	err := s.decide(p)
	if err != nil {
		return errors.Join(err, s.Abort())
	}
	if err = s.place(&p, s.nums, k); err == nil {
		err = s.removePlan()
	}
	if err != nil {
		return errors.Join(err, s.undo(&p))
	}
	s.nums = nil
	return nil
}

// PlaceNew is Place for a directory that is no mailbox yet, to the numbers that
// the messages were added with. appear makes it one: that is the change.
// disappear takes it back.
func (s *Stage) PlaceNew(k Keeper, appear, disappear func() error) error {
	p := Plan{kind: planAdd, Tag: s.tag, From: 1}
	err := s.decide(p)
	if err != nil {
		return errors.Join(err, s.Abort())
	}
	if err = appear(); err == nil {
		err = s.place(&p, s.nums, k)
	}
	if err == nil {
		err = s.removePlan()
	}
	if err != nil {
		return errors.Join(err, disappear(), s.undo(&p))
	}
	s.nums = nil
	return nil
}

// undo takes back what was placed. Until the plan is gone a crash leads to the
// whole delivery, which was not yet said to have failed.
func (s *Stage) undo(p *Plan) error {
	if p.From > s.nums[0] { // some have other numbers, which are not known any more
		return journal.ErrUnfinished
	}
	for _, n := range s.nums {
		if err := s.takeBack(n, p.at(n)); err != nil {
			return errors.Join(err, journal.ErrUnfinished)
		}
	}
	if err := errors.Join(s.FS.SyncDir(s.Path), s.removePlan()); err != nil {
		return errors.Join(err, journal.ErrUnfinished)
	}
	return s.Abort()
}

// Abort removes what has no number yet; safe at any time.
func (s *Stage) Abort() error {
	errs := []error{s.texts.Close()}
	if s.Direct { // they go with the directory
		s.nums = nil
	}
	for _, n := range s.nums {
		if err := s.FS.Remove(s.hidden(s.tag, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	s.nums = nil
	return errors.Join(errs...)
}
