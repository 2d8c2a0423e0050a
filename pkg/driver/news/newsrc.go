package news

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A span is the articles lo to hi.
type span struct{ lo, hi uint32 }

// A state is what the state file says of a group.
type state struct {
	known bool   // it has a line
	spans []span // what was read
}

// has reports whether an article was read.
func (s *state) has(n uint32) bool {
	return slices.ContainsFunc(s.spans, func(r span) bool { return r.lo <= n && n <= r.hi })
}

// end is the last article of all ranges.
func (s *state) end() (end uint32) {
	for _, r := range s.spans {
		end = max(end, r.hi)
	}
	return end
}

// stateFile is where the state is kept.
func (d *Driver) stateFile() string {
	if path := d.env.Config.NewsState; path != "" {
		return path
	}
	return filepath.Join(d.env.Home, ".newsrc")
}

// cutState finds the line of a group in a state file: the octets before it, the
// list of what was read, and what comes behind, with the end of the line. known
// is false where there is none, and then all is before.
func cutState(b []byte, group string) (before, list, after []byte, known bool) {
	for off := 0; off < len(b); {
		line := b[off:]
		if i := bytes.IndexAny(line, "\r\n"); i >= 0 {
			line = line[:i]
		}
		if n := len(group); len(line) > n && string(line[:n]) == group && (line[n] == ':' || line[n] == '!') {
			at := off + n + 1
			return b[:at], b[at : off+len(line)], b[off+len(line):], true
		}
		off += len(line)
		for off < len(b) && (b[off] == '\r' || b[off] == '\n') {
			off++
		}
	}
	return b, nil, nil, false
}

// parseList reads "1-3,7-11". What it cannot read it returns.
func parseList(list []byte) (spans []span, bogus string) {
	for _, part := range bytes.Split(bytes.TrimSpace(list), []byte(",")) {
		part = bytes.TrimSpace(part)
		if len(part) == 0 {
			continue
		}
		lo, hi, isRange := bytes.Cut(part, []byte("-"))
		a, err := strconv.ParseUint(string(lo), 10, 32)
		b := a
		if err == nil && isRange {
			b, err = strconv.ParseUint(string(hi), 10, 32)
		}
		if err != nil {
			return spans, string(part)
		}
		if a <= b {
			spans = append(spans, span{uint32(a), uint32(b)})
		}
	}
	return spans, ""
}

// printList makes the list of what was read of the articles, as the original
// does: articles that are no more count as those before them.
func printList(articles []uint32, read func(n uint32) bool) (b []byte) {
	var lo, hi uint32
	dump := func() {
		if hi == 0 {
			return
		}
		b = append(b, map[bool]byte{true: ' ', false: ','}[len(b) == 0])
		b = strconv.AppendUint(b, uint64(lo), 10)
		if hi > lo {
			b = append(b, '-')
			b = strconv.AppendUint(b, uint64(hi), 10)
		}
	}
	if len(articles) > 0 && articles[0] > 1 {
		lo, hi = 1, 1
	}
	for _, n := range articles {
		switch {
		case read(n):
			hi = n
			if lo == 0 {
				lo = n
			}
		case lo > 0:
			hi = n - 1
			dump()
			lo = 0
		}
	}
	if lo > 0 {
		dump()
	}
	return b
}

// readState reads the state of a group.
func (d *Driver) readState(group string) (state, error) {
	b, err := os.ReadFile(d.stateFile())
	if node.Gone(err) {
		return state{}, nil
	}
	if err != nil {
		return state{}, err
	}
	return d.parseState(b, group), nil
}

func (d *Driver) parseState(b []byte, group string) (s state) {
	_, list, _, known := cutState(b, group)
	var bogus string
	s.known = known
	if s.spans, bogus = parseList(list); bogus != "" {
		d.env.Notify(mailbox.Warn, fmt.Sprintf("%s: %s: %.40q is no range of articles", d.stateFile(), group, bogus))
	}
	return s
}

// changeState changes the line of a group: a replace. change gets the state and
// returns the list that is to be there.
func (d *Driver) changeState(ctx context.Context, group string, change func(s state) []byte) error {
	for {
		again, err := d.changeOnce(ctx, group, change)
		if err != nil || !again {
			return err
		}
	}
}

// changeOnce is changeState, unless somebody has replaced the file meanwhile.
func (d *Driver) changeOnce(ctx context.Context, group string, change func(s state) []byte) (again bool, err error) {
	path := d.stateFile()
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	f, err := d.FS.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	locks := flocked.Files{FS: d.FS, Env: d.env, Format: d.Name()}.Locks()
	if _, err := lock.Flock(locks).Lock(ctx, f.OS(), lock.Exclusive); err != nil { // until it is closed
		return false, err
	}
	fi, err := f.Stat()
	if err != nil {
		return false, err
	}
	if now, err := d.FS.Stat(path); err != nil || !os.SameFile(fi, now) {
		return true, nil
	}
	old, err := io.ReadAll(io.NewSectionReader(f, 0, fi.Size()))
	if err != nil {
		return false, err
	}
	next := putState(old, group, change(d.parseState(old, group)))
	if bytes.Equal(old, next) {
		return false, nil
	}
	return false, d.replace(path, next, fi.Mode().Perm())
}

// putState makes the file with another list for a group. The rest stays octet
// for octet.
func putState(b []byte, group string, list []byte) []byte {
	before, _, after, known := cutState(b, group)
	if known {
		return slices.Concat(before, list, after)
	}
	eol := "\n"
	if bytes.Contains(b, []byte("\r\n")) {
		eol = "\r\n"
	}
	next := slices.Clone(b)
	if len(b) > 0 && b[len(b)-1] != '\n' && b[len(b)-1] != '\r' {
		next = append(next, eol...)
	}
	return append(append(append(next, group+":"...), list...), eol...)
}

// replace replaces a file on which we hold the lock.
func (d *Driver) replace(path string, b []byte, mode fs.FileMode) error {
	hidden := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	f, err := d.FS.OpenFile(hidden, os.O_RDWR|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync())
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = d.FS.Rename(hidden, path)
	}
	if err != nil {
		return errors.Join(err, remove(d.FS, hidden))
	}
	return d.FS.SyncDir(filepath.Dir(path))
}

func remove(fsys fsx.FS, path string) error {
	if err := fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
