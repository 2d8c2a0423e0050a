package mix

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// The result of a repair is made in .mixrepairing, a directory in that of the
// mailbox: a whole mailbox, in which data files that stay as they are have a
// second name. When it is durable the directory becomes .mixrepair, which
// decides: from then on whoever opens the mailbox gives its files the place of
// the old ones, however often that is interrupted.
const (
	stagingName = ".mixrepairing"
	stagedName  = ".mixrepair"
	planName    = "plan" // what the mailbox was and is to be, by which it is known again
)

// A staging is the result of a repair that is being made.
type staging struct {
	*sole
	p      *planner
	before map[string]fs.FileInfo
	path   string

	plan  strings.Builder
	named map[string]bool // data files of the result
}

// make makes all files, durably.
func (t *staging) make(ctx context.Context) error {
	if err := mend.RemoveDir(t.d.FS, t.path); err != nil { // what a kill has left
		return err
	}
	if err := t.d.FS.Mkdir(t.path, 0o700); err != nil {
		return err
	}
	t.named = map[string]bool{}
	for _, f := range t.p.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.data(f); err != nil {
			return err
		}
	}
	if name := dataName(t.p.meta.newFile); !t.named[name] {
		if err := t.file(name, func(io.Writer) error { return nil }); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{metaName, t.meta}, {indexName, t.index}, {statusName, t.status}} {
		if err := t.file(f.name, f.write); err != nil {
			return err
		}
		if err := t.describe(f.name); err != nil {
			return err
		}
	}
	t.drops()
	err := t.file(planName, func(w io.Writer) error {
		_, err := io.WriteString(w, t.plan.String())
		return err
	})
	return errors.Join(err, t.d.FS.SyncDir(t.path))
}

// data makes a data file: one that stays gets a second name, or a copy where
// there are no such names.
func (t *staging) data(f *planFile) error {
	if f.anew {
		if len(f.msgs) == 0 {
			return nil
		}
		return t.file(dataName(f.to), func(w io.Writer) error { return t.texts(w, f) })
	}
	name := dataName(f.number)
	t.named[name] = true
	fmt.Fprintf(&t.plan, "keep %s %d\n", name, t.before[name].Size())
	old := filepath.Join(t.dir, name)
	if err := t.d.FS.Link(old, filepath.Join(t.path, name)); err == nil {
		return nil
	}
	return t.file(name, func(w io.Writer) error { return t.copyOf(w, old) })
}

func (t *staging) copyOf(w io.Writer, path string) error {
	from, err := fsx.OpenQuiet(t.d.FS, path)
	if err != nil {
		return err
	}
	defer from.Close() // nothing was written
	_, err = fsx.Copy(w, io.NewSectionReader(from, 0, math.MaxInt64), nil)
	return err
}

// file makes a file as the mailbox's own are, durably.
func (t *staging) file(name string, write func(io.Writer) error) error {
	t.named[name] = true
	h := &hold{d: t.d, dir: t.path}
	f, err := h.create(name, t.like(name))
	if err != nil {
		return err
	}
	w := fsx.NewWriter(f)
	if err = write(w); err == nil {
		err = w.Flush()
	} else {
		w.Stop()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil && t.before[name] != nil {
		t.d.FS.Chtimes(f.Name(), t.before[name].ModTime(), t.before[name].ModTime())
	}
	return err
}

// like is the file whose mode and owner a file gets: its own, or that of
// another of the mailbox.
func (t *staging) like(name string) fs.FileInfo {
	for _, other := range []string{name, metaName, indexName, statusName} {
		if fi := t.before[other]; fi != nil && fi.Mode().Perm()&0o400 != 0 {
			return fi
		}
	}
	names := []string{}
	for name := range t.before {
		names = append(names, name)
	}
	return t.before[slices.Min(names)]
}

func (t *staging) meta(w io.Writer) error {
	_, err := w.Write(t.p.meta.print())
	return err
}

func (t *staging) index(w io.Writer) error {
	return t.records(w, func(b []byte, m *message) []byte { return appendIndex(b, m) })
}

func (t *staging) status(w io.Writer) error {
	return t.records(w, func(b []byte, m *message) []byte { return appendStatus(b, m.record()) })
}

func (t *staging) records(w io.Writer, record func(b []byte, m *message) []byte) error {
	b := appendSeq(nil, t.p.meta.seq)
	for n := range t.p.msgs {
		b = record(b, &t.p.msgs[n].message)
		if len(b) > 32<<10 {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	_, err := w.Write(b)
	return err
}

// texts writes what stays of a data file.
func (t *staging) texts(w io.Writer, f *planFile) error {
	from, err := fsx.OpenQuiet(t.d.FS, filepath.Join(t.dir, dataName(f.number)))
	if err != nil {
		return err
	}
	defer from.Close() // nothing was written
	for _, n := range f.msgs {
		m := &t.p.msgs[n]
		if _, err := w.Write(appendToken(nil, &m.message)); err != nil {
			return err
		}
		if err := t.p.pieces[m.piece].write(w, from); err != nil {
			return err
		}
	}
	return nil
}

// describe notes what a file was and is to be.
func (t *staging) describe(name string) error {
	for _, f := range []struct{ word, path string }{{"was", filepath.Join(t.dir, name)}, {"is", filepath.Join(t.path, name)}} {
		size, sum, err := t.d.digest(f.path)
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(&t.plan, "none %s\n", name)
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(&t.plan, "%s %s %d %x\n", f.word, name, size, sum)
	}
	return nil
}

// drops notes which files go: data files that were written anew, and caches.
func (t *staging) drops() {
	for name, fi := range t.before {
		_, isData := dataNumber(name)
		if isData && !t.named[name] || name == prefix+"sortcache" || name == copyName || name == deletedName {
			fmt.Fprintf(&t.plan, "drop %s %d\n", name, fi.Size())
		}
	}
}

// digest is the size of a file and a digest of its octets.
func (d *Driver) digest(path string) (size int64, sum uint64, err error) {
	f, err := fsx.OpenQuiet(d.FS, path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close() // nothing was written
	h := fnv.New64a()
	size, err = fsx.Copy(h, io.NewSectionReader(f, 0, math.MaxInt64), nil)
	return size, h.Sum64(), err
}

// verify opens the result as a reader does, who must have nothing to say, looks
// at it as a deep check does, and compares all messages with what was planned.
func (t *staging) verify(ctx context.Context) error {
	if err := t.parses(); err != nil {
		return err
	}
	i := t.d.newInspection(ctx, t.path, func(f mailbox.Finding) error {
		if f.Severity == mailbox.Damage {
			return fmt.Errorf("%v", f)
		}
		return nil
	})
	if err := i.list(); err != nil {
		return err
	}
	defer i.close()
	n := 0
	i.digest = func(seq int, sum *maphash.Hash) error {
		if n = seq; n > len(t.p.msgs) || t.p.msgs[n-1].read && sum.Sum64() != t.p.msgs[n-1].digest {
			return fmt.Errorf("message %d is not what was planned", n)
		}
		return nil
	}
	err := i.run()
	if i.err != nil {
		return i.err
	}
	if err == nil && n != len(t.p.msgs) {
		err = fmt.Errorf("%d messages were found, %d planned", n, len(t.p.msgs))
	}
	return err
}

// parses reads the result with the reader's own parser.
func (t *staging) parses() (err error) {
	var warned error
	c := scanner{dir: t.path, fsys: t.d.FS, warn: func(text string) { warned = errors.New(text) }}
	var files [3]fsx.File
	for k, name := range []string{metaName, indexName, statusName} {
		f, err := fsx.OpenQuiet(t.d.FS, filepath.Join(t.path, name))
		if err != nil {
			return err
		}
		defer f.Close() // nothing was written
		files[k] = f
	}
	m, err := readMeta(files[0])
	if err != nil {
		return err
	}
	s, err := c.scan(m, files[1], files[2])
	if err = errors.Join(err, warned); err != nil {
		return err
	}
	if len(s.msgs) != len(t.p.msgs) {
		return fmt.Errorf("%d messages are listed, %d planned", len(s.msgs), len(t.p.msgs))
	}
	for n := range s.msgs {
		got, want := s.msgs[n], t.p.msgs[n].message
		got.status, got.recent = 0, false
		if got != want {
			return fmt.Errorf("message %d is listed as %+v, planned was %+v", n+1, got, want)
		}
	}
	return nil
}

// commit decides: from here on the result is the mailbox.
func (t *staging) commit() error {
	if err := t.d.FS.Rename(t.path, filepath.Join(t.dir, stagedName)); err != nil {
		return err
	}
	if err := t.d.FS.SyncDir(t.dir); err != nil {
		return err
	}
	_, err := t.finishStaged()
	return err
}

// finishStaged gives the files of a repair that was decided the place of those
// of the mailbox, and removes what is left. Each step may be done already. Where
// the mailbox is not what was repaired any more, the repair is given up.
func (s *sole) finishStaged() (did bool, err error) {
	staged := filepath.Join(s.dir, stagedName)
	if fi, err := s.d.FS.Lstat(staged); err != nil || !fi.IsDir() {
		return false, ignoreGone(err)
	}
	drop, fits, err := s.readPlan(staged)
	if err == nil && fits {
		err = s.move(staged)
		for _, name := range drop {
			if err == nil {
				err = ignoreGone(s.d.FS.Remove(filepath.Join(s.dir, name)))
			}
		}
	}
	if err == nil {
		err = s.d.FS.SyncDir(s.dir)
	}
	if err == nil {
		err = removeStaged(s.d.FS, staged)
	}
	if err != nil {
		return true, fmt.Errorf("%w: %w", journal.ErrUnfinished, err)
	}
	return true, s.d.FS.SyncDir(s.dir)
}

// removeStaged removes what is left of a repair; the plan is there as long as
// anything is.
func removeStaged(fsys fsx.FS, staged string) error {
	all, err := entries(staged)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.Name() != planName {
			err = errors.Join(err, fsys.Remove(filepath.Join(staged, e.Name())))
		}
	}
	if err == nil {
		err = fsys.SyncDir(staged)
	}
	if err != nil {
		return err
	}
	return mend.RemoveDir(fsys, staged)
}

// move gives the files their places: data first, then what lists them, at last
// the metadata, which make it a mailbox.
func (s *sole) move(staged string) error {
	all, err := entries(staged)
	if err != nil {
		return err
	}
	var data, lists []string
	meta := false
	for _, e := range all {
		_, isData := dataNumber(e.Name())
		switch name := e.Name(); {
		case isData && !fsx.Same(s.d.FS, filepath.Join(staged, name), filepath.Join(s.dir, name)):
			data = append(data, name)
		case name == indexName, name == statusName:
			lists = append(lists, name)
		case name == metaName:
			meta = true
		}
	}
	for _, names := range [][]string{data, lists} {
		for _, name := range names {
			if err := s.d.FS.Rename(filepath.Join(staged, name), filepath.Join(s.dir, name)); err != nil {
				return err
			}
		}
		if err := s.d.FS.SyncDir(s.dir); err != nil {
			return err
		}
	}
	if !meta {
		return nil
	}
	return s.moveMeta(filepath.Join(staged, metaName))
}

// moveMeta makes the metadata those in path: in place, because others may wait
// for their lock.
func (s *sole) moveMeta(path string) error {
	to := filepath.Join(s.dir, metaName)
	if s.f == nil {
		return errors.Join(s.d.FS.Rename(path, to), s.d.FS.SyncDir(s.dir))
	}
	fi, err := s.f.Stat()
	if err != nil {
		return err
	}
	from, err := fsx.OpenQuiet(s.d.FS, path)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(io.NewSectionReader(from, 0, maxMeta))
	if err = errors.Join(err, from.Close()); err != nil {
		return err
	}
	err = s.replace(s.f, func(j *journal.Journal) error {
		_, err := j.Write(b)
		return err
	})
	s.d.FS.Chtimes(to, fi.ModTime(), fi.ModTime())
	return err
}

// readPlan reads what the mailbox was and is to be; fits is false where it is
// neither.
func (s *sole) readPlan(staged string) (drop []string, fits bool, err error) {
	f, err := fsx.OpenQuiet(s.d.FS, filepath.Join(staged, planName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil // all else is gone already
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close() // nothing was written
	text, err := io.ReadAll(io.NewSectionReader(f, 0, math.MaxInt64))
	if err != nil {
		return nil, false, err
	}
	good := map[string]bool{}
	fits = true
	for line := range strings.Lines(string(text)) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		name, what, _ := strings.Cut(rest, " ")
		size, sum, derr := int64(0), uint64(0), error(nil)
		path := filepath.Join(s.dir, filepath.Base(name))
		if word == "keep" || word == "drop" {
			var fi fs.FileInfo
			if fi, derr = s.d.FS.Lstat(path); derr == nil {
				size = fi.Size()
			}
		} else {
			size, sum, derr = s.d.digest(path)
		}
		if derr != nil && !errors.Is(derr, fs.ErrNotExist) {
			return nil, false, derr
		}
		switch gone := derr != nil; word {
		case "keep":
			fits = fits && !gone && fmt.Sprint(size) == what
		case "drop":
			fits = fits && (gone || fmt.Sprint(size) == what)
			drop = append(drop, filepath.Base(name))
		case "none":
			good[name] = good[name] || gone
		case "was", "is":
			good[name] = good[name] || !gone && fmt.Sprintf("%d %x", size, sum) == what
		}
	}
	for _, name := range []string{metaName, indexName, statusName} {
		fits = fits && good[name]
	}
	return drop, fits, nil
}
