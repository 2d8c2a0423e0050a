package mix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Files are the files of a mailbox that is held, as they were read last. They are
// all that a delivery needs; a session shows them to somebody.
type files struct {
	*hold
	name mailbox.Name
	held *pair // of Hold, nil elsewhere: nobody else gets at the mailbox

	state *state // nil where it is not known
	meta  meta   // as it is shown
	said  map[string]bool
	data  data
}

func newFiles(h *hold, n mailbox.Name) files {
	return files{hold: h, name: n, said: map[string]bool{}, data: data{h: h}}
}

// warn says a warning of reading, once in a session.
func (b *files) warn(text string) {
	if !b.said[text] {
		b.said[text] = true
		b.d.warn("%s", text)
	}
}

// locked calls do while index and status are locked and have been read.
func (b *files) locked(ctx context.Context, index, status lock.Mode, do func(p *pair, s *state) error) error {
	if b.hold == nil {
		return fmt.Errorf("%w: it is closed", mailbox.ErrReadOnly)
	}
	if b.held != nil {
		return do(b.held, b.state)
	}
	p, err := b.lock(ctx, index, status)
	if err != nil {
		return err
	}
	err = b.load(p)
	if err == nil {
		err = do(p, b.state)
	}
	if err != nil {
		b.state = nil // it may be half changed
	}
	return errors.Join(err, p.close())
}

// load reads the files, if they are not what is known of them.
func (b *files) load(p *pair) error {
	m, err := readMeta(b.f)
	if err != nil {
		return err
	}
	if m.validity == 0 { // each session has one of its own then, as in the original
		m.validity = max(b.meta.validity, uint32(max(b.d.env.Now().Unix(), 1)))
	}
	if m.seq < b.meta.seq {
		return corrupt(metaName, 0, "Error in mix metadata file sequence record")
	}
	if b.state != nil {
		same, err := b.state.same(m, p)
		if same || err != nil {
			return err
		}
	}
	c := scanner{dir: b.dir, fsys: b.d.FS, warn: b.warn, repair: !b.readOnly}
	b.state, err = c.scan(m, p.index, p.status)
	return err
}

// same reports whether the files are still those of s.
func (s *state) same(m meta, p *pair) (bool, error) {
	if s.meta.seq != m.seq || s.meta.validity != m.validity || s.meta.uidLast != m.uidLast {
		return false, nil
	}
	for _, f := range []struct {
		fsx.File
		seq  uint32
		size int64
	}{{p.index, s.indexSeq, s.indexSize}, {p.status, s.statusSeq, s.statusSize}} {
		fi, err := f.Stat()
		if err != nil {
			return false, err
		}
		seq := make([]byte, min(seqLen, fi.Size()))
		if n, err := f.ReadAt(seq, 0); n < len(seq) {
			return false, err
		}
		if fi.Size() != f.size || string(seq) != string(appendSeq(nil, f.seq)[:len(seq)]) {
			return false, nil
		}
	}
	return true, nil
}

// changeMeta makes m the metadata, durably. An index that was newer stays so,
// unless the status knows of messages that it does not list.
func (b *files) changeMeta(p *pair, s *state, m meta) error {
	trusted := s.trusted() && len(s.unlisted) == 0
	if err := b.writeMeta(m); err != nil || !trusted {
		return err
	}
	return b.raiseIndex(p, s, m.seq)
}

// raiseIndex gives the index the sequence that the metadata got, so that who
// looks for messages that it does not list knows that none came since.
func (b *files) raiseIndex(p *pair, s *state, seq uint32) error {
	if s.indexSize < seqLen || !s.indexPlain {
		return nil
	}
	if err := writeSeq(p.index, seq); err != nil {
		return err
	}
	s.indexSeq = seq
	return p.index.Sync()
}

// replaceStatus writes the status file anew: the messages of s, and the records
// of others as they were, for they may be what is left of a damaged index, unless
// they are outlived.
func (b *files) replaceStatus(p *pair, s *state, seq uint32) error {
	err := b.replace(p.status, func(j *journal.Journal) error {
		buf := appendSeq(nil, seq)
		put := func(r status) error {
			buf = appendStatus(buf, r)
			if len(buf) < 32<<10 {
				return nil
			}
			_, err := j.Write(buf)
			buf = buf[:0]
			return err
		}
		others := s.unlisted
		if s.outlived() {
			others = nil
		}
		for i := range s.msgs {
			for ; len(others) > 0 && others[0].uid < s.msgs[i].uid; others = others[1:] {
				if err := put(others[0]); err != nil {
					return err
				}
			}
			if err := put(s.msgs[i].record()); err != nil {
				return err
			}
		}
		for _, r := range others {
			if err := put(r); err != nil {
				return err
			}
		}
		_, err := j.Write(buf)
		return err
	})
	b.state = nil // it has to be read again
	return err
}

// rescue saves the messages of which nobody could tell any more that they may
// be mail, once the index has been written. The caller has locked it.
func (b *files) rescue(s *state) error {
	if s.trusted() {
		return nil
	}
	u, err := b.survey(s, nil, nil)
	if err != nil {
		return err
	}
	for _, f := range u.files {
		if err := b.save(f.number, f.weak, "messages that the index does not list"); err != nil {
			return err
		}
	}
	return nil
}

// save adds octets of a data file to the lost file, durably.
func (b *files) save(file uint32, what []extent, words string) error {
	if len(what) == 0 {
		return nil
	}
	path := filepath.Join(b.dir, lostName)
	to, err := b.d.FS.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	n, err := b.saveTo(to, file, what)
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	b.d.warn("%s had %d octets of %s; they are in %s now", dataName(file), n, words, path)
	return b.d.FS.SyncDir(b.dir)
}

func (b *files) saveTo(to fsx.File, file uint32, what []extent) (n int64, err error) {
	fi, err := to.Stat()
	if err != nil {
		return 0, err
	}
	if err := b.data.use(file); err != nil {
		return 0, err
	}
	w := io.NewOffsetWriter(to, fi.Size())
	for _, e := range what {
		k, err := fsx.Copy(w, io.NewSectionReader(b.data.f, e.off, e.len()), nil)
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, to.Sync()
}
