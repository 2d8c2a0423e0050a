package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A wish is the keywords that a delivery brings.
type wish struct {
	names []string
	room  uint64 // bits that can be kept
	slots slots  // with those that are to be created
	fresh bool   // some are to be created
}

func newWish(s slots, names []string, used uint32) wish {
	w := wish{names: names, slots: s}
	for i, name := range names {
		if name != "" && i < mailbox.MaxKeywords && w.slots.create(name, used) >= 0 {
			w.room |= 1 << i
		}
	}
	w.fresh = w.slots != s
	return w
}

// staged is what the index is to know of an item, and how many keywords of it
// have no room.
func (w *wish) staged(it mailbox.Item) (st staged, lost int) {
	for i := range mailbox.MaxKeywords {
		if it.Flags.Keywords&(1<<i) != 0 && w.room&(1<<i) == 0 {
			lost++
		}
	}
	return staged{keywords: it.Flags.Keywords & w.room, uid: it.UID, system: it.Flags.System &^ mailbox.Recent}, lost
}

// letters are those of keyword bits.
func (w *wish) letters(bits uint64) (mask uint32) {
	for i := 0; bits != 0; i, bits = i+1, bits>>1 {
		if bits&1 != 0 {
			mask |= 1 << w.slots.find(w.names[i])
		}
	}
	return mask
}

// Append begins to add mail.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if o.New {
		return d.appendNew(ctx, n, o)
	}
	dir, err := d.existing(ctx, "append", n)
	if err != nil {
		return nil, err
	}
	a := &addition{d: d, ctx: ctx, n: n, dir: dir, stage: d.newStage(dir)}
	if err := errors.Join(d.complete(dir), a.learn(o.Keywords)); err != nil {
		return nil, d.fail("append", n.Text, err)
	}
	return a, nil
}

// An addition is mail for a mailbox that exists.
type addition struct {
	d     *Driver
	ctx   context.Context
	n     mailbox.Name
	dir   string
	stage *stage
	wish  wish
	done  bool
}

var errDone = errors.New("delivery has ended")

// learn finds out which keywords can be kept. No names are read unless some are
// to be created.
func (a *addition) learn(names []string) error {
	s, is, err := a.d.readSlots(a.dir)
	if err != nil {
		return err
	}
	a.wish = newWish(s, names, 0)
	if !a.wish.fresh {
		return nil
	}
	if !is {
		if err := a.adopt(); err != nil {
			return err
		}
		if s, _, err = a.d.readSlots(a.dir); err != nil {
			return err
		}
	}
	used, err := a.d.usedLetters(a.dir)
	a.wish = newWish(s, names, used)
	return err
}

// adopt gives letters to the keywords of Courier's. Where there are none nobody
// has to wait.
func (a *addition) adopt() error {
	all, err := a.d.readCourier(a.dir)
	if err != nil || len(all) == 0 {
		return err
	}
	return a.d.exclusive(a.ctx, a.dir, func(held *lock.Uidlist) error { return a.d.adopt(a.dir, held) })
}

func (d *Driver) usedLetters(dir string) (used uint32, err error) {
	err = d.readMessages(dir, func(file string) {
		_, l := parseFlags([]byte(file))
		used |= l
	})
	return used, err
}

// Add writes one message into tmp.
func (a *addition) Add(it mailbox.Item) (mailbox.Altered, error) {
	if a.done {
		return mailbox.Altered{}, errDone
	}
	return a.stage.take(it, &a.wish)
}

// Commit gives the messages their names. A single one is there by one rename,
// as in any Maildir; for several see pendingFile.
func (a *addition) Commit() (uids mailbox.UIDs, err error) {
	if a.done {
		return uids, errDone
	}
	if err = errors.Join(a.stage.failed, a.ctx.Err()); err == nil {
		err = a.commit()
	}
	if err != nil {
		err = mailbox.Sayf(overQuota(err), "Message append failed: %s", err)
	}
	return uids, errors.Join(err, a.Abort())
}

func (a *addition) commit() error {
	s := a.stage
	if len(s.items) == 0 && !a.wish.fresh {
		return nil
	}
	if err := s.texts.Sync(); err != nil {
		return err
	}
	if len(s.items) == 1 && !a.wish.fresh {
		return a.move(nil)
	}
	return a.d.exclusive(a.ctx, a.dir, func(held *lock.Uidlist) error {
		if a.wish.fresh {
			if err := a.create(); err != nil {
				return err
			}
		}
		if err := a.d.fs.SyncDir(a.dir + "/tmp"); err != nil {
			return err
		}
		return a.move(held)
	})
}

// create creates the keywords. Another session may have been faster: then its
// letters count.
func (a *addition) create() error {
	s, _, err := a.d.readSlots(a.dir)
	if err != nil {
		return err
	}
	used, err := a.d.usedLetters(a.dir)
	if err != nil {
		return err
	}
	w := newWish(s, a.wish.names, used)
	if w.room&a.wish.room != a.wish.room {
		return fmt.Errorf("%w: another program has used up the keywords meanwhile", mailbox.ErrTemporary)
	}
	w.room = a.wish.room
	a.wish = w
	if !w.fresh {
		return nil
	}
	return a.d.writeSlots(a.dir, &w.slots)
}

// move gives the messages their names, all of them or none.
func (a *addition) move(held *lock.Uidlist) error {
	c := change{d: a.d, dir: a.dir, lock: held, steps: a.stage.steps(a.wish.letters)}
	err := c.carry(func(s step) (step, bool, error) {
		return s, false, fmt.Errorf("%s was removed by another program", s.from)
	})
	if err != nil && !errors.Is(err, errUnfinished) {
		err = c.undo(err)
	} else if err == nil {
		// The mail is there, and durable. A list that stays does no harm.
		if err := c.finish(); err != nil {
			a.d.env.Notify(mailbox.Warn, fmt.Sprintf("%s/%s is left over: %v", a.dir, pendingFile, err))
		}
	}
	if err == nil || errors.Is(err, errUnfinished) {
		a.stage.items = nil
	}
	return err
}

// Abort removes what was written.
func (a *addition) Abort() error {
	if a.done {
		return nil
	}
	a.done = true
	return a.stage.abort()
}

// overQuota makes a full disk an ErrOverQuota.
func overQuota(err error) error {
	if (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && !errors.Is(err, mailbox.ErrOverQuota) {
		return fmt.Errorf("%w: %w", mailbox.ErrOverQuota, err)
	}
	return err
}

// A newBox is a mailbox that is being made under a hidden name.
type newBox struct {
	d        *Driver
	n        mailbox.Name
	path     string // where it will be
	hidden   string
	held     *os.File // the hidden directory, with flock(2) on it: its writer lives
	stage    *stage
	wish     wish
	validity uint32
	next     uint32
	keep     bool // items keep their UIDs
	done     bool
}

func (d *Driver) appendNew(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (_ *newBox, err error) {
	path, err := d.free(ctx, "create", n)
	if err != nil {
		return nil, err
	}
	b := &newBox{d: d, n: n, path: path, hidden: hidden(path, ".new"), keep: o.UIDValidity != 0, validity: o.UIDValidity, next: max(1, o.UIDNext)}
	if !b.keep {
		b.validity = max(1, uint32(d.env.Now().Unix()))
	}
	b.stage = d.newStage(b.hidden)
	b.stage.direct = true
	b.wish = newWish(slots{}, append(append([]string{}, o.Keywords...), d.env.Config.Keywords...), 0)
	if err := b.begin(); err != nil {
		return nil, d.says(n, path, errors.Join(err, b.Abort()))
	}
	return b, nil
}

// begin makes the hidden directory. One that a killed process left goes.
func (b *newBox) begin() error {
	mode := b.d.env.Config.DirMode
	if err := fsx.MakeDirs(b.d.fs, filepath.Dir(b.path), mode); err != nil {
		return err
	}
	for {
		err := b.d.fs.Mkdir(b.hidden, mode)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			b.hidden = ""
			return err
		}
		left := err != nil
		if b.held, err = b.d.claim(b.hidden); err != nil {
			b.hidden = ""
			return err
		}
		if !left {
			break
		}
		if err := errors.Join(b.d.removeTree(b.hidden), b.held.Close()); err != nil {
			b.hidden, b.held = "", nil
			return err
		}
	}
	for _, part := range parts {
		if err := b.d.fs.Mkdir(b.hidden+"/"+part, mode); err != nil {
			return err
		}
	}
	return nil
}

// claim takes flock(2) on a hidden directory; fsx.ErrInUse where a process
// that lives has it.
func (d *Driver) claim(dir string) (*os.File, error) {
	f, err := d.fs.OpenFile(dir, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.OS().Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "create", Path: dir, Err: fsx.ErrInUse}, f.Close())
	}
	return f.OS(), nil
}

// Add writes one message.
func (b *newBox) Add(it mailbox.Item) (mailbox.Altered, error) {
	if b.done {
		return mailbox.Altered{}, errDone
	}
	b.ascends(it.UID)
	return b.stage.take(it, &b.wish)
}

// ascends makes a UID that is to be kept, and cannot be, an error.
func (b *newBox) ascends(uid uint32) {
	if n := len(b.stage.items); b.keep && b.stage.failed == nil && (uid == 0 || n > 0 && uid <= b.stage.items[n-1].uid) {
		b.stage.failed = fmt.Errorf("UID %d does not ascend", uid)
	}
}

// Commit publishes the mailbox, in the shape "replace".
func (b *newBox) Commit() (uids mailbox.UIDs, err error) {
	if b.done {
		return uids, errDone
	}
	if err = b.stage.failed; err == nil {
		uids, err = b.commit()
	}
	if err != nil {
		return mailbox.UIDs{}, b.d.says(b.n, b.path, errors.Join(err, b.Abort()))
	}
	return uids, b.Abort() // closes it
}

func (b *newBox) commit() (uids mailbox.UIDs, err error) {
	s := b.stage
	if err := s.texts.Sync(); err != nil {
		return uids, err
	}
	if b.wish.fresh {
		if err := b.d.writeWhole(b.hidden+"/"+keywordsFile, os.O_EXCL, b.wish.slots.print()); err != nil {
			return uids, err
		}
	}
	uids, list := b.list()
	if err := b.d.writeWhole(b.hidden+"/"+uidlistFile, os.O_EXCL, list); err != nil {
		return uids, err
	}
	if sub, err := b.d.isSubfolder(b.path); err != nil {
		return uids, err
	} else if sub {
		if err := b.d.writeWhole(b.hidden+"/"+folderFile, os.O_EXCL, nil); err != nil {
			return uids, err
		}
	}
	for _, dir := range []string{"/new", "/cur", ""} {
		if err := b.d.fs.SyncDir(b.hidden + dir); err != nil {
			return uids, err
		}
	}
	return uids, b.publish()
}

// list is the list of UIDs. Where they are not kept, the messages get theirs
// when the mailbox is opened next, in this order: until then they are recent.
func (b *newBox) list() (uids mailbox.UIDs, text []byte) {
	var lines []byte
	if b.keep {
		uids.Validity = b.validity
		for i, st := range b.stage.items {
			lines = appendRecord(lines, st.uid, []byte(baseOf(st.file)))
			uids.Last = st.uid
			if i == 0 {
				uids.First = st.uid
			}
		}
		b.next = max(b.next, uids.Last+1)
	}
	h := header{version: listVersion, validity: b.validity, next: b.next, rest: newGUID()}
	return uids, append(h.print(), lines...)
}

// publish gives the mailbox its name, durably. After an error the name is free.
func (b *newBox) publish() error {
	err := fsx.RenameNew(b.d.fs, b.hidden, b.path)
	if err == nil {
		b.hidden = ""
		return nil
	}
	if is, statErr := b.d.fs.Lstat(b.path); statErr == nil {
		if own, e := b.held.Stat(); e == nil && os.SameFile(is, own) {
			err = errors.Join(err, b.d.fs.Rename(b.path, b.hidden))
		}
	}
	return err
}

// Abort removes what was written, unless it is published.
func (b *newBox) Abort() error {
	if b.done {
		return nil
	}
	b.done = true
	err := b.stage.texts.Close()
	if b.hidden != "" {
		err = errors.Join(err, b.d.removeTree(b.hidden))
	}
	if b.held != nil {
		err = errors.Join(err, b.held.Close())
	}
	return err
}

// says makes the original's sentence of an error in creating.
func (d *Driver) says(n mailbox.Name, path string, err error) error {
	if err == nil {
		return nil
	}
	kind := overQuota(err)
	switch {
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.ENOTEMPTY):
		kind = fmt.Errorf("%w: %w", mailbox.ErrExist, err)
	case errors.Is(err, fsx.ErrInUse):
		kind = fmt.Errorf("%w: %w", mailbox.ErrBusy, err)
	}
	said := fmt.Sprintf("Can't create mailbox node %s: %s", path, node.Reason(err))
	return &mailbox.Error{Op: "create", Driver: d.Name(), Name: n.Text, Off: -1, Err: kind, Said: said}
}
