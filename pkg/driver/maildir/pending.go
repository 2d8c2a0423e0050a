package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/lock"
)

// pendingFile is the list of what a change of several messages does. It is
// durable before the first file is renamed or removed, and goes when the last
// has been: whoever opens the mailbox in between carries the rest out.
//
//	mailutil-pending 1 LF
//	FROM NUL TO NUL ...      TO is empty for a message that goes, "-" for a name
//	                         that goes, whoever else may have its base
//	LF CRC LF                CRC-32C of what stands before, 8 hex digits
//
// Names are "tmp/X", "new/X" or "cur/X", or those by which the file of keywords
// is replaced in the same change. A list without its end was never begun with,
// and is dropped.
const (
	pendingFile  = "mailutil-pending"
	pendingStart = "mailutil-pending 1\n"
)

// maxPending is how large a list may be: a million messages have less.
const maxPending = 1 << 30

var errUnfinished = errors.New("interrupted change, will be finished when the mailbox is opened next")

// slotsStep puts new keywords in place, listStep a new list of UIDs.
var (
	slotsStep = step{"mailutil-keywords", keywordsFile}
	listStep  = step{"mailutil-uidlist", uidlistFile}
)

// A step renames a file, or removes a message where to is "", or a name where it
// is nameGoes.
type step struct{ from, to string }

const nameGoes = "-"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func printPending(steps []step) []byte {
	b := []byte(pendingStart)
	for _, s := range steps {
		b = append(append(append(append(b, s.from...), 0), s.to...), 0)
	}
	return fmt.Appendf(b, "\n%08x\n", crc32.Checksum(b, castagnoli))
}

// parsePending reads a list; false where it is not whole, or speaks of anything
// but messages.
func parsePending(b []byte) (steps []step, ok bool) {
	const end = 1 + 8 + 1
	if len(b) < len(pendingStart)+end || !bytes.HasPrefix(b, []byte(pendingStart)) {
		return nil, false
	}
	text, sum := b[:len(b)-end], b[len(b)-end:]
	want, err := strconv.ParseUint(string(sum[1:9]), 16, 32)
	if err != nil || sum[0] != '\n' || sum[9] != '\n' || uint32(want) != crc32.Checksum(text, castagnoli) {
		return nil, false
	}
	text = text[len(pendingStart):]
	for len(text) > 0 {
		from, rest, ok1 := bytes.Cut(text, []byte{0})
		to, rest, ok2 := bytes.Cut(rest, []byte{0})
		s := step{string(from), string(to)}
		if !ok1 || !ok2 || s != slotsStep && s != listStep && (!within(s.from) || s.to != "" && s.to != nameGoes && !inside(s.to)) {
			return nil, false
		}
		steps = append(steps, s)
		text = rest
	}
	return steps, true
}

// inside reports whether a name is that of a message.
func inside(name string) bool {
	_, file, _ := strings.Cut(name, "/")
	return within(name) && file[0] != '.'
}

// within reports whether a name is that of something where messages are.
func within(name string) bool {
	sub, file, ok := strings.Cut(name, "/")
	return ok && (sub == "tmp" || sub == "new" || sub == "cur") && file != "" && file != "." && file != ".." && !strings.Contains(file, "/")
}

// A change carries out steps. The lock is held.
type change struct {
	d     *Driver
	dir   string
	steps []step
	done  int // steps that were carried out
	lock  *lock.Uidlist
	keep  bool // the list is written: it must go, or stays to be finished
}

// run carries out all steps, durably, and removes the list of them.
func (c *change) run(seek func(s step) (step, bool, error)) error {
	if err := c.carry(seek); err != nil {
		return err
	}
	return c.finish()
}

// carry carries out all steps, durably. Several are listed first. seek finds a
// file that is not where it was: it returns the step to take instead, and false
// where there is none.
func (c *change) carry(seek func(s step) (step, bool, error)) error {
	if len(c.steps) > 1 {
		if err := c.decide(); err != nil {
			return err
		}
	}
	for c.done < len(c.steps) {
		if err := c.one(c.steps[c.done], seek); err != nil {
			return err
		}
		c.done++
		if c.done%1000 == 0 {
			if err := c.lock.Touch(); err != nil {
				return err
			}
		}
	}
	return c.sync()
}

// replaceSlots makes new keywords the first step.
func (c *change) replaceSlots(s *slots) error {
	c.steps = append(c.steps, slotsStep)
	return c.d.writeSide(c.dir, slotsStep, s.print())
}

// writeSide writes the file that a step puts in place, durably.
func (d *Driver) writeSide(dir string, s step, b []byte) error {
	if err := d.writeWhole(dir+"/"+s.from, os.O_TRUNC, b); err != nil {
		return err
	}
	return d.fs.SyncDir(dir)
}

// removeSides removes what steps were to put in place.
func (d *Driver) removeSides(dir string) error {
	return errors.Join(ignoreGone(d.fs.Remove(dir+"/"+slotsStep.from)), ignoreGone(d.fs.Remove(dir+"/"+listStep.from)))
}

// decide makes the list durable.
func (c *change) decide() (err error) {
	path := c.dir + "/" + pendingFile
	if err := c.d.writeWhole(path, os.O_EXCL, printPending(c.steps)); err != nil {
		return errors.Join(err, c.drop(path))
	}
	if err := c.d.fs.SyncDir(c.dir); err != nil {
		return errors.Join(err, c.drop(path))
	}
	c.keep = true
	return nil
}

// drop removes a list that nothing was done of.
func (c *change) drop(path string) error {
	err := c.d.fs.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = c.d.fs.SyncDir(c.dir)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errUnfinished, err)
	}
	return nil
}

// one carries out one step.
func (c *change) one(s step, seek func(step) (step, bool, error)) error {
	for range 3 {
		err := c.do(s)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		var again bool
		if s, again, err = seek(s); err != nil || !again {
			return err
		}
	}
	return fmt.Errorf("%s is renamed again and again by another program", s.from)
}

func (c *change) do(s step) error {
	if s.to == "" || s.to == nameGoes {
		return c.d.fs.Remove(c.dir + "/" + s.from)
	}
	return c.d.fs.Rename(c.dir+"/"+s.from, c.dir+"/"+s.to)
}

// sync makes the names durable that the steps changed.
func (c *change) sync() error {
	var errs []error
	for _, s := range c.steps {
		if s == slotsStep || s == listStep {
			errs = append(errs, c.d.fs.SyncDir(c.dir))
			break
		}
	}
	for _, sub := range []string{"tmp", "new", "cur"} {
		for _, s := range c.steps {
			if strings.HasPrefix(s.from, sub) && (sub != "tmp" || !inside(s.to)) || strings.HasPrefix(s.to, sub) {
				errs = append(errs, c.d.fs.SyncDir(c.dir+"/"+sub))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// finish removes the list.
func (c *change) finish() error {
	if !c.keep {
		return nil
	}
	if err := c.d.fs.Remove(c.dir + "/" + pendingFile); err != nil {
		return fmt.Errorf("%w: %w", errUnfinished, err)
	}
	c.keep = false
	if err := c.d.fs.SyncDir(c.dir); err != nil {
		return fmt.Errorf("%w: %w", errUnfinished, err)
	}
	return nil
}

// undo takes back renames after an error of run: the files get their old names
// again. Where that is not possible the change will be finished.
func (c *change) undo(cause error) error {
	var errs []error
	for i := min(c.done, len(c.steps)-1); i >= 0; i-- {
		s := c.steps[i]
		if s.to == "" || s.to == nameGoes {
			continue
		}
		err := c.one(step{s.to, s.from}, func(back step) (step, bool, error) {
			if !inside(back.from) {
				return back, false, nil
			}
			at, err := c.d.byBase(c.dir, back.from)
			if at == "" || at == back.from {
				return back, false, err
			}
			return step{at, back.to}, true, err
		})
		errs = append(errs, err)
	}
	errs = append(errs, c.sync())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", errUnfinished, errors.Join(cause, err))
	}
	return errors.Join(cause, c.finish())
}

// pending reports whether a change was interrupted.
func (d *Driver) pending(dir string) (bool, error) {
	_, err := d.fs.Lstat(dir + "/" + pendingFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// recover finishes an interrupted change. The lock is held. It returns a
// sentence for the user, "" where nothing was to be done.
func (d *Driver) recover(dir string, held *lock.Uidlist) (did string, err error) {
	path := dir + "/" + pendingFile
	b, err := d.readSmall(path, maxPending)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	c := change{d: d, dir: dir, lock: held, keep: true}
	steps, ok := parsePending(b)
	if !ok {
		return "", c.drop(path)
	}
	c.steps = steps
	if err := c.carryOut(); err != nil {
		return "", fmt.Errorf("%w: %w", errUnfinished, err)
	}
	return "finished an interrupted change of " + dir, nil
}

// carryOut takes the steps that were not taken yet.
func (c *change) carryOut() error {
	var where map[string]string // files by their bases, read when the first is missing
	for _, s := range c.steps {
		err := c.do(s)
		if err == nil && inside(s.to) && fsx.Same(c.d.fs, c.dir+"/"+s.from, c.dir+"/"+s.to) { // half renamed
			err = c.d.fs.Remove(c.dir + "/" + s.from)
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if s.to != "" { // renamed before, by us or by another program
			continue
		}
		if where == nil {
			if where, err = c.d.bases(c.dir); err != nil {
				return err
			}
		}
		if at := where[baseOf(s.from)]; at != "" {
			if err := c.do(step{from: at}); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return errors.Join(c.sync(), c.finish())
}

// baseOf is the base of the file "new/X" or "cur/X".
func baseOf(file string) string {
	_, name, _ := strings.Cut(file, "/")
	return name[:baseLen([]byte(name))]
}

// bases maps the bases of all messages to their files.
func (d *Driver) bases(dir string) (map[string]string, error) {
	all := map[string]string{}
	err := d.readMessages(dir, func(file string) { all[baseOf(file)] = file })
	return all, err
}

// byBase finds the file that is called like file, but for its info; "" where
// there is none.
func (d *Driver) byBase(dir, file string) (string, error) {
	all, err := d.bases(dir)
	return all[baseOf(file)], err
}

// writeWhole writes a file and makes its octets durable. flag is O_EXCL or
// O_TRUNC.
func (d *Driver) writeWhole(path string, flag int, b []byte) error {
	f, err := d.fs.OpenFile(path, os.O_RDWR|os.O_CREATE|flag, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// replace gives the file name of the directory new octets, durably. The lock
// is held: the temporary name is that which Dovecot uses.
func (d *Driver) replace(dir, name string, b []byte) error {
	tmp := dir + "/" + name + ".tmp"
	fi, err := d.fs.Stat(dir + "/" + name)
	err = errors.Join(ignoreGone(err), d.writeWhole(tmp, os.O_TRUNC, b))
	if err == nil && fi != nil {
		err = d.chmod(tmp, fi.Mode().Perm())
	}
	if err == nil {
		err = d.fs.Rename(tmp, dir+"/"+name)
	}
	if err != nil {
		return errors.Join(err, ignoreGone(d.fs.Remove(tmp)))
	}
	return d.fs.SyncDir(dir)
}

func (d *Driver) chmod(path string, mode fs.FileMode) error {
	f, err := d.fs.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(mode), f.Close())
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
