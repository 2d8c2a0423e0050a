package mix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A hold is a mailbox whose metadata file is open under a shared lock: as long
// as it lasts nobody moves, deletes or renames what is there.
type hold struct {
	d        *Driver
	dir      string   // without symbolic links
	f        fsx.File // the metadata
	readOnly bool
}

// hold opens the mailbox in dir. Who wants to write may get a read-only one.
func (d *Driver) hold(ctx context.Context, dir string, write bool) (*hold, error) {
	for {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return nil, d.missing(dir)
		}
		if ok, err := d.isMailbox(real); err != nil || !ok {
			return nil, errors.Join(err, d.missing(dir))
		}
		h := &hold{d: d, dir: real, readOnly: !write}
		if err := h.open(); err != nil {
			if node.Gone(err) {
				continue // another process was faster
			}
			return nil, err
		}
		err = h.share(ctx)
		same := false
		if err == nil {
			same, err = h.isThere()
		}
		if same && err == nil {
			return h, nil
		}
		if err := errors.Join(err, h.f.Close()); err != nil {
			return nil, err
		}
	}
}

func (h *hold) open() (err error) {
	path := filepath.Join(h.dir, metaName)
	if !h.readOnly {
		h.f, err = h.d.open(path, os.O_RDWR)
		if err == nil || !flocked.MayNotWrite(err) {
			return err
		}
		h.readOnly = true
	}
	h.f, err = h.d.open(path, os.O_RDONLY)
	return err
}

// isThere reports whether the metadata file that is open still has its name.
func (h *hold) isThere() (bool, error) {
	a, err := h.f.Stat()
	if err != nil {
		return false, err
	}
	b, err := h.d.FS.Stat(filepath.Join(h.dir, metaName))
	if node.Gone(err) {
		return false, nil
	}
	return err == nil && os.SameFile(a, b), err
}

// share takes the shared lock, waiting for it.
func (h *hold) share(ctx context.Context) error {
	_, err := lock.Flock(h.d.locks()).Lock(ctx, h.f.OS(), lock.Shared)
	return err
}

// tryAlone raises the lock, without waiting; ok is false where another has the
// mailbox open. Only who has the index exclusively may try. Either way the
// shared lock may be gone: share must follow.
func (h *hold) tryAlone() (ok bool, err error) { return flocked.TryExclusive(h.f) }

// A pair is the index and the status file of a mailbox, open under locks.
type pair struct {
	index, status fsx.File
}

// close gives the locks up. What was written is durable already; an error of
// closing still counts.
func (p *pair) close() error {
	var err error
	for _, f := range []fsx.File{p.status, p.index} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// lock opens index and status and locks them, in this order. A change that was
// interrupted is finished first.
func (h *hold) lock(ctx context.Context, index, status lock.Mode) (*pair, error) {
	for range 8 {
		p, err := h.lockPair(ctx, index, status)
		if err != nil {
			return nil, err
		}
		pending, err := h.pending()
		if err == nil && !pending {
			return p, nil
		}
		if err := errors.Join(err, p.close()); err != nil {
			return nil, err
		}
		if err := h.finish(ctx); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: other programs are interrupted again and again", mailbox.ErrTemporary)
}

func (h *hold) lockPair(ctx context.Context, index, status lock.Mode) (*pair, error) {
	p := &pair{}
	var err error
	p.index, err = h.openLocked(ctx, indexName, "index", index)
	if err == nil {
		p.status, err = h.openLocked(ctx, statusName, "status", status)
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (h *hold) openLocked(ctx context.Context, name, kind string, m lock.Mode) (fsx.File, error) {
	flag := os.O_RDONLY
	if m == lock.Exclusive {
		flag = os.O_RDWR
	}
	f, err := h.d.open(filepath.Join(h.dir, name), flag)
	if node.Gone(err) {
		return nil, corrupt(name, 0, "Error opening mix %s file", kind)
	}
	if err != nil {
		return nil, err
	}
	if _, err := lock.Flock(h.d.locks()).Lock(ctx, f.OS(), m); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// pending reports whether a change of one of the three files was interrupted,
// or a repair.
func (h *hold) pending() (bool, error) {
	if _, err := h.d.FS.Lstat(filepath.Join(h.dir, stagedName)); err == nil {
		return true, nil
	}
	for _, name := range []string{metaName, indexName, statusName} {
		ok, err := journal.Pending(filepath.Join(h.dir, name), h.d.journal())
		if ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// finish finishes interrupted changes, whatever the mailbox is open for.
func (h *hold) finish(ctx context.Context) error {
	p, err := h.lockPair(ctx, lock.Exclusive, lock.Exclusive)
	if err != nil {
		return fmt.Errorf("%w: %w", journal.ErrUnfinished, err)
	}
	meta, err := h.d.open(filepath.Join(h.dir, metaName), os.O_RDWR)
	if err != nil {
		return errors.Join(fmt.Errorf("%w: %w", journal.ErrUnfinished, err), p.close())
	}
	for _, f := range []fsx.File{meta, p.index, p.status} {
		text, ferr := journal.Recover(f, h.d.journal())
		if text != "" {
			h.d.warn("%s", text)
		}
		err = errors.Join(err, ferr)
	}
	if err == nil {
		err = h.finishRepair(ctx, meta, p)
	}
	return errors.Join(err, meta.Close(), p.close())
}

// finishRepair finishes an interrupted repair, if nobody else has the mailbox
// open.
func (h *hold) finishRepair(ctx context.Context, meta fsx.File, p *pair) error {
	if _, err := h.d.FS.Lstat(filepath.Join(h.dir, stagedName)); err != nil {
		return ignoreGone(err)
	}
	alone, err := h.tryAlone()
	switch {
	case err != nil:
	case !alone:
		err = fmt.Errorf("%w: %w", journal.ErrUnfinished, h.inUse())
	default:
		s := &sole{hold: &hold{d: h.d, dir: h.dir, f: meta}, p: p}
		if _, err = s.finishStaged(); err == nil {
			h.d.warn("finished an interrupted repair of %s", h.dir)
		}
	}
	return errors.Join(err, h.share(ctx))
}

// replace writes a file anew, in place, through a journal: all of it or
// nothing. The file is locked.
func (h *hold) replace(f fsx.File, write func(j *journal.Journal) error) error {
	j, err := journal.New(f, h.d.journal())
	if err == nil {
		err = j.At(0)
	}
	if err == nil {
		err = write(j)
	}
	if err != nil {
		if j != nil {
			err = errors.Join(err, j.Abort())
		}
		return err
	}
	return j.Commit(j.Offset())
}
