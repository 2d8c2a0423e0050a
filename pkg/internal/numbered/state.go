package numbered

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A Format is what tells one format of such directories from another: the file
// that keeps what is known of the messages, and its lock.
type Format struct {
	flocked.Files
	StateFile string // its name in the directory
	Lock      lock.Locker
	LF        bool // lines on disk end in LF; else as they were given
	Reuses    bool // numbers are given again: UIDs are of one session, and no delivery is told its own

	// Place returns the directory of a mailbox that must exist.
	Place func(n mailbox.Name) (string, error)

	// OpenState opens the state file of the mailbox at path. Without an error
	// there may be none, which is nil, to one who only reads.
	OpenState func(path string, write bool) (fsx.File, error)

	// Kept makes what knows the state file.
	Kept func(s *State) Kept

	// Fresh begins a new mailbox.
	Fresh func(ctx context.Context, n mailbox.Name) (Fresh, error)
}

// A Message is what is known of one. What its file says may be found out only
// when somebody asks.
type Message struct {
	Number   uint32
	System   mailbox.SystemFlags // Recent, too
	Keywords uint64              // bits of State.Keywords

	statted bool
	size    int64 // octets on disk
	crlf    int64 // octets as they are read, 0 where nobody has counted
	mtime   int64 // nanoseconds
	ino     uint64
}

// Stat notes what the file of the message is.
func (m *Message) Stat(fi fs.FileInfo) {
	m.statted, m.size, m.mtime = true, fi.Size(), fi.ModTime().UnixNano()
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		m.ino = uint64(st.Ino)
	}
}

// same reports whether two messages of one number are the same file, as far as
// both are known: numbers may come again.
func (m *Message) same(o *Message) bool {
	return m.Number == o.Number && (!m.statted || !o.statted || m.ino == o.ino && m.mtime == o.mtime && m.size == o.size)
}

// A State is a mailbox as it is on disk, while it is locked.
type State struct {
	Dir      Dir
	File     fsx.File // the state file, nil where there is none
	List     Listing
	Msgs     []Message // ascending
	Keywords []string  // bit n is Keywords[n]
	Validity uint32    // 0 where UIDs are of one session
	Last     uint32    // the highest number ever given, as far as is known

	f    *Format
	held lock.Held
}

// Base returns s: for what has a State in it.
func (s *State) Base() *State { return s }

// A Kept is a State with the state file read. What its methods do is durable
// when they return.
type Kept interface {
	Keeper
	Base() *State

	// Load reads directory and state file.
	Load() error

	// Create returns the bit of a keyword, which it gets where it can be one; it
	// is on disk after the next Save.
	Create(name string) (bit uint64, ok bool)

	// Save makes the state file what the State says.
	Save() error

	// Expunge removes messages, ascending, all of them or none.
	Expunge(nums []uint32) error

	// Take adds the messages of a delivery, all of them or none.
	Take(t *Delivery) (mailbox.UIDs, error)
}

// Locked calls do with the mailbox at path locked, for writing or for reading,
// and everything that a crash left seen to.
func (f *Format) Locked(ctx context.Context, path string, write bool, do func(k Kept) error) error {
	k, err := f.Acquire(ctx, path, write)
	if err != nil {
		return err
	}
	return errors.Join(do(k), k.Base().Release())
}

// Acquire is Locked for who releases the lock himself. Who only reads locks
// nothing where there is no state file.
func (f *Format) Acquire(ctx context.Context, path string, write bool) (Kept, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		k, again, err := f.acquire(ctx, path, write)
		if err != nil || !again {
			return k, err
		}
	}
}

// acquire is Acquire, unless a change was interrupted that has to be finished
// first, or the state file is another file now.
func (f *Format) acquire(ctx context.Context, path string, write bool) (_ Kept, again bool, err error) {
	s := &State{f: f, Dir: Dir{FS: f.FS, Path: path}}
	if s.File, err = f.OpenState(path, write); err != nil {
		return nil, false, err
	}
	if s.File != nil {
		mode := lock.Shared
		if write {
			mode = lock.Exclusive
		}
		if s.held, err = f.Lock.Lock(ctx, s.File.OS(), mode); err != nil {
			return nil, false, errors.Join(err, s.File.Close())
		}
	}
	k := f.Kept(s)
	if again, err = s.begin(ctx, k, write); again || err != nil {
		return nil, again, errors.Join(err, s.Release())
	}
	return k, false, nil
}

// Release gives the lock up.
func (s *State) Release() error {
	var err error
	if s.held != nil {
		err = s.held.Release()
	}
	if s.File != nil {
		err = errors.Join(err, s.File.Close())
	}
	s.held, s.File = nil, nil
	return err
}

// begin sees to what a crash left, and reads what there is, under the lock.
func (s *State) begin(ctx context.Context, k Kept, write bool) (again bool, err error) {
	if same, err := s.isAt(); !same || err != nil {
		return true, err
	}
	pending, err := s.pending()
	if err != nil {
		return false, err
	}
	if pending && !write { // our lock would be in our own way
		return true, errors.Join(s.Release(), s.finishOther(ctx))
	}
	if pending {
		if err := s.finish(k); err != nil {
			return false, err
		}
	}
	return false, k.Load()
}

func (s *State) statePath() string { return filepath.Join(s.Dir.Path, s.f.StateFile) }

// isAt reports whether the state file still is the one of its name: nmh removes
// it, mutt replaces it.
func (s *State) isAt() (bool, error) {
	if s.File == nil {
		return true, nil
	}
	a, err := s.File.Stat()
	if err != nil {
		return false, err
	}
	b, err := s.f.FS.Stat(s.statePath())
	if node.Gone(err) {
		return false, nil
	}
	return err == nil && os.SameFile(a, b), err
}

// pending reports whether a change was interrupted.
func (s *State) pending() (bool, error) {
	is, err := journal.Pending(s.statePath(), s.f.Journal())
	if err != nil || is {
		return is, err
	}
	return s.Dir.Pending()
}

// finishOther finishes an interrupted change for somebody who only reads.
func (s *State) finishOther(ctx context.Context) error {
	err := s.f.Locked(ctx, s.Dir.Path, true, func(Kept) error { return nil })
	if flocked.MayNotWrite(err) {
		return fmt.Errorf("%w: its owner must open it: %w", journal.ErrUnfinished, err)
	}
	return err
}

// finish finishes what was interrupted: the state file first, which may name
// what the plan places.
func (s *State) finish(k Keeper) error {
	did, err := journal.Recover(s.File, s.f.Journal())
	if err != nil {
		return err
	}
	more, err := s.Dir.Finish(k)
	for _, text := range []string{did, more} {
		if text != "" {
			s.f.Env.Notify(mailbox.Warn, text)
		}
	}
	return err
}

// ReadFile reads the whole state file, nothing where there is none.
func (s *State) ReadFile() ([]byte, error) {
	if s.File == nil {
		return nil, nil
	}
	fi, err := s.File.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, fi.Size())
	if n, err := s.File.ReadAt(b, 0); n < len(b) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b, nil
}

// Replace gives the state file new octets, in place, through a journal: others
// wait for the lock of this very file.
func (s *State) Replace(b []byte) error {
	j, err := journal.New(s.File, s.f.Journal())
	if err != nil {
		return err
	}
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
	return nil
}

// Find returns message n, nil where it is not there.
func (s *State) Find(n uint32) *Message { return find(s.Msgs, n) }

func find(msgs []Message, n uint32) *Message {
	i, ok := sort.Find(len(msgs), func(i int) int { return cmp.Compare(n, msgs[i].Number) })
	if !ok {
		return nil
	}
	return &msgs[i]
}

// Keyword returns the bit of a keyword, in any case, 0 where there is none.
func (s *State) Keyword(name string) uint64 {
	i := slices.IndexFunc(s.Keywords, func(k string) bool { return strings.EqualFold(k, name) })
	if i < 0 {
		return 0
	}
	return 1 << i
}

// AddKeyword returns the bit of a keyword, a new one where it has none and there
// are fewer than most.
func (s *State) AddKeyword(name string, most int) (uint64, bool) {
	if bit := s.Keyword(name); bit != 0 {
		return bit, true
	}
	if len(s.Keywords) >= most {
		return 0, false
	}
	s.Keywords = append(slices.Clip(s.Keywords), name)
	return 1 << (len(s.Keywords) - 1), true
}

// named are the bits that have a name.
func named(keywords []string) uint64 { return 1<<len(keywords) - 1 }

// date is an internal date; its zone is not kept.
func (m *Message) date() mailbox.Date { return mailbox.DateOf(time.Unix(0, m.mtime).UTC()) }
