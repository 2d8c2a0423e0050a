package flocked

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A Session is an open mailbox as a file: what the formats have in common. As
// long as it is open it holds the shared lock: nobody moves messages.
type Session struct {
	Files    Files
	Name     mailbox.Name
	Path     string
	F        fsx.File
	ReadOnly bool
	Held     lock.Held      // of Hold, nil elsewhere: nobody else gets at the file
	Spool    mailbox.Driver // the system INBOX, from which new mail comes; may be nil

	End     int64     // octets parsed
	First   int64     // the size when it was opened
	Changed time.Time // mtime that we know
	Sweep   bool      // others may have changed flags: read them again
	Broken  error     // a change was interrupted: offsets are not known

	snarfed time.Time // when the spool was looked at last
}

// Fail makes err an *Error about the mailbox.
func (s *Session) Fail(op string, err error) error { return s.Files.Fail(op, s.Name, err) }

// Look sees whether others changed the file, and changes Sweep then.
func (s *Session) Look() error {
	fi, err := s.F.Stat()
	if err != nil {
		return err
	}
	if fi.Size() < s.End {
		return Shrank(s.End, fi.Size())
	}
	if !fi.ModTime().Equal(s.Changed) {
		s.Sweep = true
		s.Changed = fi.ModTime()
	}
	return nil
}

// News reports whether the file has to be read again: as in the original only
// when its size or its modification time changed, or it is empty, or new mail
// may be in the spool.
func (s *Session) News(empty bool) (bool, error) {
	if s.Held != nil || s.Broken != nil {
		return false, s.Broken
	}
	fi, err := s.F.Stat()
	if err != nil {
		return false, err
	}
	if !fi.ModTime().Equal(s.Changed) {
		s.Sweep = true
	}
	return fi.Size() != s.End || s.Sweep || empty || s.SnarfDue(), nil
}

// Read, Touch and Alert are those of Files, and remember the time.

func (s *Session) Read() error  { return s.told(s.Files.Read(s.F, s.Path)) }
func (s *Session) Touch() error { return s.told(s.Files.Touch(s.F, s.Path, s.Changed)) }
func (s *Session) Alert() error { return s.told(s.Files.Alert(s.F, s.Path, s.Changed)) }

func (s *Session) told(written time.Time, err error) error {
	if err == nil {
		s.Changed = written
	}
	return err
}

// snarfPause is how long an open INBOX leaves the spool alone.
const snarfPause = 60 * time.Second

// SnarfDue reports whether it is time to look for new mail in the spool.
func (s *Session) SnarfDue() bool {
	return !s.ReadOnly && s.Name.Inbox && s.Spool != nil &&
		(s.snarfed.IsZero() || s.Files.Env.Now().Sub(s.snarfed) >= snarfPause)
}

// Snarf moves new mail from the spool to the end of the file. record returns
// what writes it. The caller holds the temp lock and has parsed the file.
func (s *Session) Snarf(ctx context.Context, record func(to io.Writer) *Recorder) {
	s.snarfed = s.Files.Env.Now()
	s.Files.Snarf(ctx, s.Spool, s.Path, s.F, record)
}

// Moved makes the session unusable after the error err of a compaction of a file
// that had size octets, if that has, or may have, begun to move messages.
func (s *Session) Moved(err error, size int64) {
	fi, statErr := s.F.Stat()
	if errors.Is(err, journal.ErrUnfinished) || statErr != nil || fi.Size() != size {
		s.Broken = err
	}
}

// Prove digests the octets that were there when the mailbox was opened, for
// mailbox.Prover.
func (s *Session) Prove(seed maphash.Seed) (mailbox.Proof, error) {
	proof, err := s.prove(seed)
	return proof, s.Fail("read", err)
}

func (s *Session) prove(seed maphash.Seed) (mailbox.Proof, error) {
	var h maphash.Hash
	h.SetSeed(seed)
	n, err := io.CopyBuffer(&h, io.NewSectionReader(s.F, 0, s.First), make([]byte, 256<<10))
	if err == nil && n < s.First {
		err = mailbox.ErrChanged
	}
	if err != nil {
		return mailbox.Proof{}, err
	}
	fi, err := s.F.Stat()
	if err != nil {
		return mailbox.Proof{}, err
	}
	return mailbox.Proof{Size: s.First, Digest: h.Sum64(), Now: fi.Size()}, nil
}

// Close gives the locks up.
func (s *Session) Close() (err error) {
	if s.F == nil {
		return nil
	}
	if s.Held != nil {
		err = s.Held.Release()
	}
	err = errors.Join(err, s.F.Close())
	s.F = nil
	return err
}
