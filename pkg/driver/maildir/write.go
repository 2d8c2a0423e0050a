package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// staleTmp is the age at which what was left in tmp goes.
const staleTmp = 36 * time.Hour

// deadLines is how many lines of removed messages a list may have before it is
// written anew, beside a quarter of all.
const deadLines = 64

// unsettled reports whether messages have no UID yet, or are still in new.
func (ix *index) unsettled() bool {
	for i := range ix.all {
		if ix.all[i].bits&(bitListed|bitNew|bitTwice) != bitListed {
			return true
		}
	}
	return !ix.list.exists
}

// list gives UIDs to the messages that have none. The lock is held. The UIDs
// are durable before anybody gets to know them.
func (b *box) list() (*index, error) {
	ix, err := b.d.scan(b.dir)
	if err != nil {
		return nil, err
	}
	if ix.list.validity == 0 {
		ix.list.validity = b.validity
	}
	if err := b.part(ix); err != nil {
		return nil, err
	}
	if err := b.d.writeUIDs(b.dir, ix); err != nil {
		return nil, err
	}
	b.take(ix)
	return ix, nil
}

// update is list, and takes the messages in new to cur.
func (b *box) update(held *lock.Uidlist) error {
	ix, err := b.list()
	if err != nil {
		return err
	}
	for i := range ix.all {
		if err := b.toCur(ix, &ix.all[i]); err != nil {
			return err
		}
		if i%1000 == 999 {
			if err := held.Touch(); err != nil {
				return err
			}
		}
	}
	return nil
}

// part gives a message that has the base of another one of its own, as Dovecot
// does.
func (b *box) part(ix *index) error {
	names := newNamer(b.d.env.Host)
	for i := range ix.all {
		e := &ix.all[i]
		if e.bits&bitTwice == 0 {
			continue
		}
		old := ix.file(e)
		file := old[:4] + names.next(b.d.env.Now()) + old[4+int(e.baseLen):]
		if err := b.d.fs.Rename(b.dir+"/"+old, b.dir+"/"+file); err != nil {
			return err
		}
		b.d.env.Notify(mailbox.Warn, fmt.Sprintf("%s/%s has the name of another message, and is now %s", b.dir, old, file))
		ix.setName(e, file)
		e.bits &^= bitTwice
	}
	return nil
}

// writeUIDs lists the messages that are not listed.
func (d *Driver) writeUIDs(dir string, ix *index) error {
	var lines []byte
	live := 0
	for i := range ix.all {
		e := &ix.all[i]
		if e.bits&bitListed != 0 && ix.list.exists {
			live++
			continue
		}
		lines = appendRecord(lines, e.uid, ix.base(e))
	}
	l := &ix.list
	anew := !l.exists || l.broken || l.version != listVersion
	if len(lines) == 0 && !anew {
		return nil
	}
	if n := len(ix.all); l.next == 0 || n > 0 && l.next <= ix.all[n-1].uid {
		return fmt.Errorf("%w: no UIDs are left: remove %s/%s, and all messages get new ones", mailbox.ErrUnsupported, dir, uidlistFile)
	}
	var err error
	if anew || l.dead > deadLines+live/4 {
		err = d.listAnew(dir, ix, lines)
	} else {
		err = d.appendList(dir, lines)
	}
	if err != nil {
		return err
	}
	for i := range ix.all {
		ix.all[i].bits |= bitListed
	}
	l.exists, l.broken, l.version = true, false, listVersion
	return nil
}

// listAnew writes the whole list.
func (d *Driver) listAnew(dir string, ix *index, lines []byte) error {
	h := ix.list.header
	if !strings.Contains(h.rest, "G") {
		h.rest = strings.TrimSpace(newGUID() + " " + h.rest)
	}
	listed := map[uint32]bool{}
	for i := range ix.all {
		if e := &ix.all[i]; e.bits&bitListed != 0 {
			listed[e.uid] = true
		}
	}
	if !ix.list.exists { // all of them are in lines
		return d.rewriteList(dir, h, func(record) bool { return false }, lines)
	}
	// The scan may have missed one that was renamed just then.
	there, err := d.bases(dir)
	if err != nil {
		return err
	}
	return d.rewriteList(dir, h, func(r record) bool { return listed[r.uid] || there[string(r.base)] != "" }, lines)
}

// toCur takes a message that was seen from new to cur. It is not worth a sync.
func (b *box) toCur(ix *index, e *entry) error {
	if e.bits&bitNew == 0 {
		return nil
	}
	old := ix.file(e)
	file := "cur/" + old[4:]
	if !strings.Contains(file, infoSep) {
		file += infoSep
	}
	err := b.d.fs.Rename(b.dir+"/"+old, b.dir+"/"+file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENAMETOOLONG) {
		return nil // another program was faster, or it has to stay
	}
	if err != nil {
		return err
	}
	ix.setName(e, file)
	return nil
}

// cleanTmp removes what programs left in tmp that were killed. A delivery of
// ours gives its files the dates of the messages: what counts is when anything
// about the file changed last.
func (d *Driver) cleanTmp(dir string) error {
	var old []string
	err := d.readNames(dir+"/tmp", func(name string) {
		path := dir + "/tmp/" + name
		fi, err := d.fs.Lstat(path)
		if err == nil && fi.Mode().IsRegular() && d.env.Now().Sub(changed(fi)) > staleTmp {
			old = append(old, path)
		}
	})
	for _, path := range old {
		if err := ignoreGone(d.fs.Remove(path)); err != nil {
			return err
		}
	}
	return err
}

// Store changes flags, which are in the names of the files. Several messages
// change together: see pendingFile.
func (b *box) Store(s mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	if err := b.writable("store"); err != nil {
		return err
	}
	err := b.exclusive(func(held *lock.Uidlist) error { return b.store(held, s, op, f) })
	if err != nil {
		return b.d.fail("store", b.name.Text, err)
	}
	return nil
}

func (b *box) store(held *lock.Uidlist, set mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	if b.ix.courier != nil && (len(f.Keywords) > 0 || op == mailbox.Replace) {
		if err := b.adopt(held); err != nil {
			return err
		}
	}
	if err := b.fresh(); err != nil {
		return err
	}
	s, _, err := b.d.readSlots(b.dir)
	if err != nil {
		return err
	}
	before := s
	mask, err := lettersOf(&s, f.Keywords, op, b.ix.used())
	if err != nil {
		return err
	}
	g := mailbox.Flags{System: f.System &^ mailbox.Recent, Keywords: uint64(mask)}
	want := func(i int) (mailbox.SystemFlags, uint32) {
		e := &b.ix.all[i]
		was := mailbox.Flags{System: e.flags &^ mailbox.Recent, Keywords: uint64(e.letters)}
		now := was.Apply(op, g)
		return now.System, uint32(now.Keywords)
	}
	c := change{d: b.d, dir: b.dir, lock: held}
	if s != before {
		if err := b.d.writeSlots(b.dir, &s); err != nil {
			return err
		}
	}
	if err := b.rename(&c, set, want); err != nil {
		return err
	}
	b.ix.setTable(s)
	return nil
}

// lettersOf are the letters of keywords. Those that do not exist are created,
// or, for Remove, passed over.
func lettersOf(s *slots, names []string, op mailbox.FlagOp, used uint32) (mask uint32, err error) {
	for _, k := range names {
		i := s.find(k)
		if i < 0 && op == mailbox.Remove {
			if i = unknownSlot(k); i < 0 || s[i] != "" {
				continue
			}
		}
		if i < 0 {
			i = s.create(k, used)
		}
		if i < 0 {
			return 0, fmt.Errorf("%w: a Maildir has room for %d keywords", mailbox.ErrUnsupported, maxLetter)
		}
		mask |= 1 << i
	}
	return mask, nil
}

// adopt gives letters to the keywords of Courier's.
func (b *box) adopt(held *lock.Uidlist) error {
	if err := b.d.adopt(b.dir, held); err != nil {
		return err
	}
	b.ix.courier = nil
	return b.relocate()
}

// fresh finds messages that other programs have renamed, so that what is
// planned fits.
func (b *box) fresh() error {
	now, err := b.d.stamps(b.dir)
	if err != nil || b.ix.current(now) {
		return err
	}
	return b.relocate()
}

// rename gives the messages of a set the flags that want says.
func (b *box) rename(c *change, set mailbox.Set, want func(i int) (mailbox.SystemFlags, uint32)) error {
	which := make([]int, len(c.steps))
	next := func(i int) (step, bool) {
		e := &b.ix.all[i]
		flags, letters := want(i)
		if e.bits&bitGone != 0 || flags == e.flags&^mailbox.Recent && letters == e.letters {
			return step{}, false
		}
		return step{b.ix.file(e), "cur/" + withFlags(string(b.ix.name(e)), flags, letters)}, true
	}
	for seq := range set.Seqs(uint32(len(b.ix.all))) {
		if s, ok := next(int(seq) - 1); ok {
			c.steps = append(c.steps, s)
			which = append(which, int(seq)-1)
		}
	}
	if len(c.steps) == 0 {
		return nil
	}
	err := c.run(func(step) (step, bool, error) {
		if err := b.relocate(); err != nil {
			return step{}, false, err
		}
		s, ok := next(which[c.done])
		c.steps[c.done] = s
		return s, ok, nil
	})
	if err != nil && !errors.Is(err, errUnfinished) {
		return c.undo(err)
	}
	for k, s := range c.steps[:c.done] {
		if inside(s.to) {
			b.ix.setName(&b.ix.all[which[k]], s.to)
		}
	}
	return err
}

// Expunge removes the files of messages. Several go together: see pendingFile.
func (b *box) Expunge(s mailbox.Set) (gone int, err error) {
	if err := b.writable("expunge"); err != nil {
		return 0, err
	}
	err = b.exclusive(func(held *lock.Uidlist) error {
		gone, err = b.expunge(held, s)
		return err
	})
	if err != nil {
		return 0, b.d.fail("expunge", b.name.Text, err)
	}
	if gone > 0 {
		b.d.env.Notify(mailbox.Info, fmt.Sprintf("Expunged %d messages", gone))
	}
	return gone, nil
}

func (b *box) expunge(held *lock.Uidlist, set mailbox.Set) (int, error) {
	if err := b.forgetText(); err != nil {
		return 0, err
	}
	if err := b.fresh(); err != nil {
		return 0, err
	}
	c := change{d: b.d, dir: b.dir, lock: held}
	var which []int
	drop := map[int]bool{}
	for seq := range set.Seqs(uint32(len(b.ix.all))) {
		i := int(seq) - 1
		drop[i] = true
		if e := &b.ix.all[i]; e.bits&bitGone == 0 {
			c.steps = append(c.steps, step{from: b.ix.file(e)})
			which = append(which, i)
		}
	}
	gone := len(c.steps)
	if gone > 0 {
		err := c.run(func(step) (step, bool, error) {
			if err := b.relocate(); err != nil {
				return step{}, false, err
			}
			e := &b.ix.all[which[c.done]]
			if e.bits&bitGone != 0 {
				gone--
				return step{}, false, nil
			}
			return step{from: b.ix.file(e)}, true, nil
		})
		if err != nil {
			return 0, c.stays(err)
		}
	}
	b.ix.drop(drop)
	return gone, nil
}

// stays says of an error in removing whether the rest will be removed.
func (c *change) stays(err error) error {
	if c.keep || c.done > 0 {
		return fmt.Errorf("%w: %w", errUnfinished, err)
	}
	return err
}
