package mx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A state is the mailbox as it is on disk, while its index is locked.
type state struct {
	d     *Driver
	dir   numbered.Dir
	f     fsx.File
	held  lock.Held
	list  numbered.Listing
	ix    index // as it is to be
	was   index // as it is on disk
	flaws []flaw
}

var _ numbered.Keeper = (*state)(nil)

// locked calls do with the index at path locked, for writing or for reading, and
// everything that a crash left seen to.
func (d *Driver) locked(ctx context.Context, path string, write bool, do func(s *state) error) error {
	for {
		again, err := d.lockedOnce(ctx, path, write, do)
		if err != nil || !again {
			return err
		}
	}
}

// lockedOnce is locked, unless a change was interrupted that has to be finished
// first, or the index is another file now.
func (d *Driver) lockedOnce(ctx context.Context, path string, write bool, do func(s *state) error) (again bool, err error) {
	s, err := d.acquire(ctx, path, write)
	if s == nil || err != nil {
		return err == nil, err
	}
	return false, errors.Join(do(s), s.release())
}

// acquire locks the index and reads what there is; nil where it has to be done
// again.
func (d *Driver) acquire(ctx context.Context, path string, write bool) (_ *state, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name := filepath.Join(path, indexName)
	flag, mode := os.O_RDONLY, lock.Shared
	if write {
		flag, mode = os.O_RDWR, lock.Exclusive
	}
	f, err := d.files().Open(name, flag)
	if node.Gone(err) {
		return nil, d.whyNot(path)
	}
	if err != nil {
		return nil, err
	}
	s := &state{d: d, dir: d.dir(path), f: f}
	if s.held, err = lock.Flock(d.files().Locks()).Lock(ctx, f.OS(), mode); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	again, err := s.begin(ctx, name, write)
	if err != nil || again {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

// begin sees to what a crash left, and reads what there is, under the lock.
func (s *state) begin(ctx context.Context, name string, write bool) (again bool, err error) {
	if same, err := s.d.isAt(s.f, name); !same || err != nil {
		return true, err
	}
	pending, err := s.pending()
	if err != nil {
		return false, err
	}
	if pending && !write {
		return true, errors.Join(s.held.Release(), s.d.finish(ctx, s.dir.Path))
	}
	if pending {
		if err := s.finish(); err != nil {
			return false, err
		}
	}
	return false, s.load()
}

// release gives the lock up.
func (s *state) release() error { return errors.Join(s.held.Release(), s.f.Close()) }

// isAt reports whether f is the file of that name.
func (d *Driver) isAt(f fsx.File, name string) (bool, error) {
	a, err := f.Stat()
	if err != nil {
		return false, err
	}
	b, err := d.FS.Stat(name)
	if node.Gone(err) {
		return false, nil
	}
	return err == nil && os.SameFile(a, b), err
}

// finish finishes an interrupted change for somebody who only reads.
func (d *Driver) finish(ctx context.Context, path string) error {
	err := d.locked(ctx, path, true, func(*state) error { return nil })
	if flocked.MayNotWrite(err) {
		return fmt.Errorf("%w: its owner must open it: %w", journal.ErrUnfinished, err)
	}
	return err
}

// pending reports whether a change was interrupted.
func (s *state) pending() (bool, error) {
	index, err := journal.Pending(s.f.Name(), s.d.journal())
	if err != nil || index {
		return index, err
	}
	return s.dir.Pending()
}

// finish finishes what was interrupted: the index first, which names what the
// plan places.
func (s *state) finish() error {
	did, err := journal.Recover(s.f, s.d.journal())
	if err != nil {
		return err
	}
	more, err := s.dir.Finish(s)
	for _, text := range []string{did, more} {
		if text != "" {
			s.d.env.Notify(mailbox.Warn, text)
		}
	}
	return err
}

// Placed has nothing to do: the index named the messages before.
func (s *state) Placed([]byte, uint32, uint32, uint32) error { return nil }

// Removed has nothing to do: records of messages that are no more mean nothing,
// and go when the index is written next.
func (s *state) Removed([]uint32) error { return nil }

// load reads the directory and the index, and gives each message a record.
func (s *state) load() (err error) {
	if s.list, err = s.dir.List(); err != nil {
		return err
	}
	fi, err := s.f.Stat()
	if err != nil {
		return err
	}
	b := make([]byte, fi.Size())
	if n, err := s.f.ReadAt(b, 0); n < len(b) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	s.was, s.flaws = parse(b)
	s.ix = s.was
	s.ix.records = s.merge()
	s.ix.last = max(s.was.last, s.list.Highest())
	if n := len(s.was.records); n > 0 { // a delivery that was interrupted gave these away
		s.ix.last = max(s.ix.last, min(s.was.records[n-1].uid, numbered.MaxNumber))
	}
	if s.ix.validity == 0 { // never opened for writing
		s.ix.validity = max(uint32(fi.ModTime().Unix()), 1)
	}
	return nil
}

// merge returns the records of the messages that are there. One that has none
// is new.
func (s *state) merge() []record {
	out := make([]record, 0, len(s.list.Numbers))
	old := s.was.records
	for _, n := range s.list.Numbers {
		for len(old) > 0 && old[0].uid < n {
			old = old[1:]
		}
		r := record{uid: n, flags: bitNew}
		if len(old) > 0 && old[0].uid == n {
			r = old[0]
		}
		out = append(out, r)
	}
	return out
}

// save makes the index on disk what ix says: a patch of what has changed, an
// append of what is new, or, where that does not do, all of it, by journal.
func (s *state) save() error {
	if !s.was.plain || !slices.Equal(s.was.keywords, s.ix.keywords) || !s.extends() {
		return s.rewrite()
	}
	head := int64(len(s.ix.head()))
	end := head + int64(len(s.was.records))*int64(recordLen)
	var more []byte
	for i := range s.ix.records[len(s.was.records):] {
		more = s.ix.records[len(s.was.records)+i].append(more)
	}
	changed := len(more) > 0
	if _, err := s.f.WriteAt(more, end); err != nil {
		return errors.Join(err, s.f.Truncate(end))
	}
	for i := range s.was.records {
		if s.ix.records[i] == s.was.records[i] {
			continue
		}
		changed = true
		flags := s.ix.records[i].appendFlags(nil)
		if _, err := s.f.WriteAt(flags, head+int64(i)*int64(recordLen)+int64(flagsAt)); err != nil {
			return err
		}
	}
	if s.ix.validity != s.was.validity || s.ix.last != s.was.last {
		changed = true
		if _, err := s.f.WriteAt(s.ix.head()[:validityLen+lastLen], 0); err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	return s.saved()
}

// saved makes what was written durable.
func (s *state) saved() error {
	if err := s.f.Sync(); err != nil {
		return err
	}
	s.was = s.ix
	s.was.records = slices.Clone(s.ix.records)
	s.was.plain = true
	return nil
}

// extends reports whether the records on disk are the first of those that are to
// be there.
func (s *state) extends() bool {
	if len(s.was.records) > len(s.ix.records) {
		return false
	}
	for i := range s.was.records {
		if s.was.records[i].uid != s.ix.records[i].uid {
			return false
		}
	}
	return true
}

// rewrite writes the whole index. It is a replace in place, by journal: others
// wait for the lock of this very file.
func (s *state) rewrite() error {
	for _, f := range s.flaws {
		if f.kind != "order" && f.kind != "twice" {
			s.d.env.Notify(mailbox.Warn, fmt.Sprintf("%s: octet %d: %s", s.f.Name(), f.off, f.text))
		}
	}
	s.flaws = nil
	j, err := journal.New(s.f, s.d.journal())
	if err != nil {
		return err
	}
	b := s.ix.print()
	err = j.At(0)
	if err == nil {
		_, err = j.Write(b)
	}
	if err == nil {
		err = j.Commit(int64(len(b)))
	}
	if err != nil {
		return errors.Join(err, j.Abort())
	}
	return s.saved()
}
