package numbered

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
)

// planStart begins a plan, planEnd shows that it is whole.
const (
	planStart = "mailutil plan 1\n"
	planEnd   = "end\n"
)

const (
	planAdd    = "add"
	planUndo   = "undo"
	planRemove = "remove"
)

// A Plan is a change that is under way.
type Plan struct {
	kind string
	Tag  string
	Base uint32 // add: message N gets the number Base+N
	From uint32 // add: the messages below have their numbers, and are saved
	Note []byte // add: lines of the format
}

// at is the number that message n gets.
func (p *Plan) at(n uint32) uint32 { return p.Base + n }

func (p *Plan) print() []byte {
	b := []byte(planStart + p.kind + " " + p.Tag)
	if p.kind == planAdd {
		b = fmt.Appendf(b, " %d %d", p.Base, p.From)
	}
	b = append(b, '\n')
	b = append(b, p.Note...)
	return append(b, planEnd...)
}

// parsePlan reads a plan; false where it is none.
func parsePlan(b []byte) (p Plan, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte(planStart))
	if !ok {
		return p, false
	}
	line, note, ok := bytes.Cut(b, []byte("\n"))
	if !ok {
		return p, false
	}
	if p.Note, ok = bytes.CutSuffix(note, []byte(planEnd)); !ok || len(p.Note) > 0 && p.Note[len(p.Note)-1] != '\n' {
		return p, false
	}
	words := strings.Fields(string(line))
	if len(words) < 2 || strings.Contains(words[1], "/") {
		return p, false
	}
	p.kind, p.Tag = words[0], words[1]
	switch {
	case p.kind == planAdd && len(words) == 4:
		base, err := strconv.ParseUint(words[2], 10, 31)
		from, err2 := strconv.ParseUint(words[3], 10, 31)
		p.Base, p.From = uint32(base), uint32(from)
		return p, err == nil && err2 == nil
	case p.kind == planUndo, p.kind == planRemove:
		return p, len(words) == 2 && len(p.Note) == 0
	}
	return p, false
}

func (d Dir) planPath() string { return filepath.Join(d.Path, planName) }

// Pending reports whether a change was interrupted, at the cost of one lstat.
func (d Dir) Pending() (bool, error) {
	_, err := d.FS.Lstat(d.planPath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// decide makes a plan durable, and all hidden files that it speaks of: from now
// on it will be carried out.
func (d Dir) decide(p Plan) error {
	path := d.Path + "/" + prefix + p.Tag + ".plan"
	f, err := d.FS.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(p.print(), 0); err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = d.FS.SyncDir(d.Path)
	}
	if err == nil {
		err = d.FS.Rename(path, d.planPath())
	}
	if err != nil {
		return errors.Join(err, d.FS.Remove(path))
	}
	if err := d.FS.SyncDir(d.Path); err != nil {
		return errors.Join(err, d.removePlan())
	}
	return nil
}

func (d Dir) removePlan() error {
	if err := d.FS.Remove(d.planPath()); err != nil {
		return err
	}
	return d.FS.SyncDir(d.Path)
}

// place carries out p, for the messages nums, ascending.
func (d Dir) place(p *Plan, nums []uint32, k Keeper) error {
	for i := 0; i < len(nums); i++ {
		n := nums[i]
		if n < p.From {
			continue
		}
		if uint64(p.Base)+uint64(n) > MaxNumber {
			return fmt.Errorf("%s has no number left for a message", d.Path)
		}
		err := fsx.LinkNew(d.FS, d.hidden(p.Tag, n), d.File(p.at(n)))
		if errors.Is(err, fs.ErrExist) {
			if err := d.goRound(p, n, k); err != nil {
				return err
			}
			i--
			continue
		}
		if err != nil {
			return err
		}
	}
	if err := d.FS.SyncDir(d.Path); err != nil {
		return err
	}
	if err := k.Placed(p.Note, p.Base, p.From, math.MaxInt32); err != nil {
		return err
	}
	return d.unlink(p, nums)
}

// unlink takes the hidden names away.
func (d Dir) unlink(p *Plan, nums []uint32) error {
	for _, n := range nums {
		if err := d.FS.Remove(d.hidden(p.Tag, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// goRound changes p because somebody who knows nothing of our lock has taken
// the number of message n: the messages from n on get higher ones.
func (d Dir) goRound(p *Plan, n uint32, k Keeper) error {
	if err := d.FS.SyncDir(d.Path); err != nil {
		return err
	}
	if n > p.From {
		if err := k.Placed(p.Note, p.Base, p.From, n-1); err != nil {
			return err
		}
	}
	l, err := d.List()
	if err != nil {
		return err
	}
	if l.Highest() < n { // what took the number is no message
		return fmt.Errorf("the name of message %d in %s is taken", p.at(n), d.Path)
	}
	p.Base, p.From = l.Highest()+1-n, n
	return d.decide(*p)
}

// A Keeper keeps what a format knows of messages beside their texts. What it
// does must be durable when it returns, and may be asked for again.
type Keeper interface {
	// Placed is told that the messages lo to hi of a change have the numbers
	// base+lo to base+hi now. note is that of Stage.Place.
	Placed(note []byte, base, lo, hi uint32) error

	// Removed is told that messages are no more.
	Removed(nums []uint32) error
}

// Finish carries out a plan that was interrupted. It returns a sentence for the
// user, "" where nothing was to be done.
func (d Dir) Finish(k Keeper) (did string, err error) {
	p, ok, err := d.readPlan()
	if err != nil {
		return "", err
	}
	if !ok {
		return "", nil
	}
	l, err := d.List()
	if err != nil {
		return "", err
	}
	staged := l.staged(p.Tag)
	switch p.kind {
	case planAdd:
		err = d.place(&p, staged, k)
	case planUndo:
		err = d.putBack(&p, staged)
	default:
		if err = k.Removed(staged); err == nil {
			err = d.discard(&p, staged)
		}
	}
	if err == nil {
		err = d.removePlan()
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", journal.ErrUnfinished, err)
	}
	return "finished an interrupted change of " + d.Path, nil
}

// maxPlan is how much of a plan is read: the notes of a million messages.
const maxPlan = 64 << 20

// readPlan reads the plan, false where there is none. One that is not ours to
// understand is an error: nothing may be done before it is.
func (d Dir) readPlan() (p Plan, ok bool, err error) {
	f, err := d.FS.OpenFile(d.planPath(), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	defer f.Close() // read only
	b, err := io.ReadAll(io.NewSectionReader(f, 0, maxPlan))
	if err != nil {
		return p, false, err
	}
	if p, ok = parsePlan(b); !ok {
		return p, false, fmt.Errorf("%s is not readable: move it away, and look at the hidden files beside it", f.Name())
	}
	return p, true, nil
}

// putBack gives messages that were to be removed their numbers again.
func (d Dir) putBack(p *Plan, nums []uint32) error {
	for _, n := range nums {
		err := fsx.LinkNew(d.FS, d.hidden(p.Tag, n), d.File(n))
		if errors.Is(err, fs.ErrExist) {
			l, lerr := d.List()
			if lerr != nil {
				return lerr
			}
			err = fsx.LinkNew(d.FS, d.hidden(p.Tag, n), d.File(l.Highest()+1))
		}
		if err != nil {
			return err
		}
	}
	if err := d.FS.SyncDir(d.Path); err != nil {
		return err
	}
	return d.unlink(p, nums)
}

// discard removes messages for good.
func (d Dir) discard(p *Plan, nums []uint32) error {
	if err := d.unlink(p, nums); err != nil {
		return err
	}
	return d.FS.SyncDir(d.Path)
}

// Remove removes the messages nums, ascending, all of them or none, and returns
// those that were there. With journal.ErrUnfinished it is decided all the same.
func (d Dir) Remove(nums []uint32, k Keeper) (gone []uint32, err error) {
	p := Plan{kind: planUndo, Tag: newTag()}
	if err := d.decide(p); err != nil {
		return nil, err
	}
	gone, err = d.hide(&p, nums)
	if err == nil {
		p.kind = planRemove
		err = d.decide(p)
	}
	if err != nil {
		return nil, errors.Join(err, d.unhide(&p, gone))
	}
	if err = k.Removed(gone); err == nil {
		err = d.discard(&p, gone)
	}
	if err == nil {
		err = d.removePlan()
	}
	if err != nil {
		return gone, errors.Join(journal.ErrUnfinished, err)
	}
	return gone, nil
}

// unhide takes back what hide did.
func (d Dir) unhide(p *Plan, gone []uint32) error {
	is, ok, err := d.readPlan()
	if err == nil && !(ok && is.kind == planUndo && is.Tag == p.Tag) {
		p.kind = planUndo
		err = d.decide(*p)
	}
	if err == nil {
		err = d.putBack(p, gone)
	}
	if err == nil {
		err = d.removePlan()
	}
	if err != nil {
		return errors.Join(err, journal.ErrUnfinished)
	}
	return nil
}

// hide gives messages their hidden names.
func (d Dir) hide(p *Plan, nums []uint32) (gone []uint32, err error) {
	for _, n := range nums {
		err := d.FS.Rename(d.File(n), d.hidden(p.Tag, n))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return gone, err
		}
		gone = append(gone, n)
	}
	return gone, d.FS.SyncDir(d.Path)
}
