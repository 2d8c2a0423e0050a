package swap

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mailutil/pkg/internal/node"
)

// How often, and after which time each, a record is tried to be locked: who only
// looks whether somebody is at work has it for a moment.
const (
	lockTries = 5
	lockPause = 10 * time.Millisecond
)

// flock takes flock(2) on a record, exclusively to work, shared to look.
func flock(f *os.File, how int) (err error) {
	for try := 0; try < lockTries; {
		err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch err {
		case syscall.EINTR:
		case syscall.EWOULDBLOCK:
			if try++; try < lockTries {
				time.Sleep(lockPause)
			}
		default:
			return err
		}
	}
	return err
}

func (s *Swap) underWay() error { return fmt.Errorf("%s: %w", s.Path, ErrUnderWay) }

// A plan is what a record says: a line
//
//	FILE SIZE DROP FROM TO NUMBER
//
// and so many names, each ended by a NUL, for a name may have every other octet:
// that which the old mailbox gets, and those that are carried over.
type plan struct {
	old      node.ID
	size     int64  // of the old one, where it is a file
	drop     bool   // it is not wanted afterwards
	from, to string // formats
	keep     string // base name that the old one gets
	names    []string
}

// write makes the plan durable, and the name of the record.
func (s *Swap) write(p plan) error {
	b := fmt.Appendf(nil, "%s %d %t %s %s %d\n", p.old, p.size, p.drop, p.from, p.to, 1+len(p.names))
	for _, name := range append([]string{p.keep}, p.names...) {
		b = append(append(b, name...), 0)
	}
	_, err := s.f.WriteAt(b, 0)
	if err == nil {
		err = s.f.Sync()
	}
	if err == nil {
		err = s.sync()
	}
	return err
}

// read returns what the record says; ok is false where it was not finished, and
// then nothing has been renamed yet.
func (s *Swap) read() (p plan, ok bool, err error) {
	fi, err := s.f.Stat()
	if err != nil {
		return p, false, err
	}
	b, err := io.ReadAll(io.NewSectionReader(s.f, 0, fi.Size()))
	if err != nil {
		return p, false, err
	}
	p, ok = parse(b)
	return p, ok, nil
}

func parse(b []byte) (p plan, ok bool) {
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	part := strings.Split(string(line), " ")
	if len(part) != 6 {
		return p, false
	}
	var err error
	if p.size, err = strconv.ParseInt(part[1], 10, 64); err != nil {
		return p, false
	}
	p.old, ok = node.ParseID(part[0])
	p.drop, p.from, p.to = part[2] == "true", part[3], part[4]
	names := strings.Split(string(rest), "\x00")
	if !ok || part[5] != strconv.Itoa(len(names)-1) || names[len(names)-1] != "" {
		return p, false
	}
	for _, name := range names[:len(names)-1] {
		if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
			return p, false
		}
	}
	p.keep, p.names = names[0], names[1:len(names)-1]
	return p, true
}
