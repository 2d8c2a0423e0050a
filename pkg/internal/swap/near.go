package swap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Above looks for swaps of mailboxes that have path somewhere below them.
// ErrUnderWay where another process is at one: path may be elsewhere the next
// moment. What one that was killed had to carry over gets its names first; did
// is as with Begin.
func Above(path string, part Part) (did string, err error) {
	for dir := filepath.Dir(path); dir != filepath.Dir(dir) && err == nil; dir = filepath.Dir(dir) {
		var now string
		if now, err = Finish(dir, part); now != "" {
			did = now
		}
	}
	return did, err
}

// Finish is Begin for that part of it that others wait for: where a run that was
// killed was to carry entries over, it is finished or undone, and what else it has
// left is as it was. ErrUnderWay where another process is at work.
func Finish(path string, part Part) (did string, err error) {
	s := newSwap(path, part)
	s.f, err = openRecord(s.record, os.O_RDWR)
	if s.f == nil || err != nil {
		return "", err
	}
	defer s.f.Close() // what was written is nothing but "all is done"
	return s.finish()
}

// finish is Finish with the record open.
func (s *Swap) finish() (did string, err error) {
	if flock(s.f, syscall.LOCK_SH) != nil {
		return "", s.underWay()
	}
	p, planned, err := s.read()
	if err != nil || !planned || len(p.names) == 0 {
		return "", err
	}
	if flock(s.f, syscall.LOCK_EX) != nil {
		return "", s.underWay()
	}
	switch there, err := s.isThere(); {
	case err != nil:
		return "", err
	case !there: // who was at work has ended, and perhaps another has begun
		return Finish(s.Path, s.part)
	}
	return s.recover()
}

// Below returns ErrUnderWay where another process is at work on a mailbox that is
// at path, a record, or anywhere below it.
func Below(path string) error {
	return filepath.WalkDir(path, func(at string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		of, ok := Of(filepath.Base(at))
		if err != nil || !ok || e.IsDir() {
			return err
		}
		f, err := openRecord(at, os.O_RDONLY)
		if f == nil || err != nil {
			return err
		}
		err = flock(f, syscall.LOCK_SH)
		if err != nil {
			err = fmt.Errorf("%s: %w", filepath.Join(filepath.Dir(at), of), ErrUnderWay)
		}
		return errors.Join(err, f.Close())
	})
}

// openRecord opens a record, nil where there is none.
func openRecord(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) {
		return nil, nil
	}
	return f, err
}
