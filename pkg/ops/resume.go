package ops

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// A command that was killed is run again: cron does, people do. A delivery is
// all or nothing, so that most often there is nothing in the target. But when
// the kill came between the delivery and the end of the command, an append
// would add everything twice, and a copy would find that its target exists.
// Therefore a note is beside the target while a copy is in that danger: which
// messages of which source go there. Who finds the note of the same command
// looks whether the messages stand in the target, text for text, and goes on
// behind them.

// A note says what a copy was about to deliver.
type note struct {
	Command     string    `json:"command"`
	Source      string    `json:"source"`
	Target      string    `json:"target"`
	UIDValidity uint32    `json:"uidvalidity"` // of the source
	LastUID     uint32    `json:"last_uid"`    // of the last message
	Messages    uint32    `json:"messages"`    // to be delivered
	Before      uint32    `json:"before"`      // messages in the target, which are not ours
	Began       time.Time `json:"began"`
}

// command is the command of the original that does the same.
func (o CopyOptions) command() string {
	switch {
	case o.Create && o.Move:
		return "move"
	case o.Create:
		return "copy"
	case o.Move:
		return "appenddelete"
	}
	return "append"
}

// maxFileName is how many octets the name of a file may have, NAME_MAX of all
// usual file systems.
const maxFileName = 255

// notePlaces are where the note of this copy may be: beside the target, or in
// the state directory where that cannot be written to or the name is too long.
// None: a pipe cannot be read again, and standard output not at all.
func (c *copier) notePlaces(target mailbox.Name) (places []string) {
	if c.s.DryRun || c.status.Streaming || target.Space == stream {
		return nil
	}
	where := target.Path
	if where == "" {
		where = target.Text
	}
	sum := sha256.Sum256([]byte(c.o.command() + "\x00" + c.status.Path + "\x00" + where))
	key := hex.EncodeToString(sum[:8])
	name := "." + filepath.Base(target.Path) + "." + key + ".copy"
	if target.Path != "" && len(name) <= maxFileName {
		places = append(places, filepath.Join(filepath.Dir(target.Path), name))
	}
	if dir := c.s.Env.StateDir; dir != "" {
		places = append(places, filepath.Join(dir, key+".copy"))
	}
	return places
}

// resume looks for the note of a run that was interrupted. Messages that it has
// delivered are not chosen any more.
func (c *copier) resume(ctx context.Context, dst string) error {
	target, err := c.resolveTarget(dst)
	if err != nil {
		return err
	}
	c.notes = c.notePlaces(target)
	for _, path := range c.notes {
		old, err := readNote(path)
		if old == nil && err == nil {
			continue
		}
		if err == nil {
			err = c.goOn(ctx, dst, old)
		}
		if err == nil && c.resumed && target.Path != "" {
			err = fsx.Unhide(fsx.OS{}, target.Path)
		}
		return err
	}
	return nil
}

// goOn takes out of the chosen messages those of a note, if they stand in the
// target.
func (c *copier) goOn(ctx context.Context, dst string, old *note) error {
	if old == nil {
		return nil
	}
	mb, err := c.reopenTarget(ctx, dst)
	if errors.Is(err, mailbox.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer mb.Close() // only read
	first, rest, err := c.split(old)
	if err != nil {
		return err
	}
	stands := false
	if uint32(len(first)) == old.Messages {
		if stands, err = c.stand(ctx, mb, first, old.Before); err != nil {
			return err
		}
	}
	switch {
	case stands:
		c.chosen = rest
		c.took(first)
	case c.o.Create && c.o.Move: // the target is ours, and the source was emptied: that was the last step
		c.resumed = true
	}
	return nil
}

// took accounts for messages that an earlier run has delivered.
func (c *copier) took(msgs []mailbox.Message) {
	c.resumed = true
	c.acc.Copied, c.acc.Resumed = uint32(len(msgs)), uint32(len(msgs))
	c.acc.Failed = c.acc.Found - c.acc.Copied
	for _, m := range msgs {
		c.done.Add(m.Seq)
		c.acc.Octets += m.Size
	}
}

// split divides the chosen messages into those of the note and those behind
// them: by UID where the source has kept them, else by number.
func (c *copier) split(old *note) (first []mailbox.Message, rest mailbox.Set, err error) {
	byUID := old.UIDValidity == c.status.UIDValidity
	for m, err := range c.from.Messages(c.chosen) {
		switch {
		case err != nil:
			return nil, rest, err
		case byUID && m.UID <= old.LastUID, !byUID && uint32(len(first)) < old.Messages:
			first = append(first, m)
		default:
			rest.Add(m.Seq)
		}
	}
	return first, rest, nil
}

// stand reports whether msgs stand in the target mb, in their order and
// together, behind the messages that were there before. What the target's
// format could not hold as it was is not known any more: texts are compared by
// what every format keeps.
func (c *copier) stand(ctx context.Context, mb mailbox.Mailbox, msgs []mailbox.Message, before uint32) (bool, error) {
	have, err := allMessages(mb)
	if err != nil {
		return false, err
	}
	want := make([]stored, 0, len(msgs))
	for _, m := range msgs {
		text, err := c.from.Open(m.Seq)
		if err != nil {
			return false, inMessage(m, err)
		}
		sum, err := essence(text)
		if err != nil {
			return false, inMessage(m, err)
		}
		want = append(want, stored{m, sum, mailbox.Altered{Newlines: 1}})
	}
	found, err := findTogether(ctx, mb, have[min(int(before), len(have)):], want)
	if found == nil || err != nil {
		return false, err
	}
	if c.remembers() && c.o.Origin == NoOrigin { // whose flags are not those of the source
		c.sums = want
		err = c.compareIndex(mb.Status(), found)
		c.sums = nil
	}
	return err == nil, err
}

// takeNote makes the note durable. It comes before anything can be in the
// target.
func (c *copier) takeNote(ctx context.Context, dst string) error {
	if len(c.notes) == 0 || c.acc.Skipped > 0 || c.acc.Copied == 0 {
		return nil
	}
	before, err := c.before(ctx, dst)
	if err != nil {
		return err
	}
	text, err := json.Marshal(note{
		Command: c.o.command(), Source: c.status.Path, Target: dst, UIDValidity: c.status.UIDValidity,
		LastUID: c.lastUID, Messages: c.acc.Copied, Before: before, Began: c.s.Env.Now(),
	})
	if err != nil {
		return err
	}
	for _, path := range c.notes {
		if err = c.writeNote(path, append(text, '\n')); err == nil {
			return nil
		}
	}
	// The copy is worth more than what an interruption at one instant may do.
	c.s.Env.Notify(mailbox.Info, fmt.Sprintf("No note for the case of an interruption: %v", err))
	return nil
}

// before counts the messages of the target that are not ours.
func (c *copier) before(ctx context.Context, dst string) (uint32, error) {
	if c.o.Create {
		return 0, nil
	}
	target, err := c.s.Env.ResolveTarget(dst)
	if err != nil {
		return 0, err
	}
	d, err := c.s.Drivers.Find(target)
	if errors.Is(err, mailbox.ErrNotExist) || err == nil && formatless(d) { // nothing is there yet
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	mb, err := d.Open(ctx, target, mailbox.ReadOnly)
	if err != nil {
		return 0, err
	}
	n := mb.Status().Messages - min(c.acc.Resumed, mb.Status().Messages)
	return n, mb.Close()
}

// writeNote replaces the note of an earlier run, which has delivered nothing.
// A torn one is none.
func (c *copier) writeNote(path string, text []byte) error {
	var disk fsx.OS
	if dir := filepath.Dir(path); dir == c.s.Env.StateDir {
		if err := fsx.MakeDirs(disk, dir, 0o700); err != nil {
			return err
		}
	}
	f, err := disk.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = disk.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		err = errors.Join(err, disk.Remove(path))
	}
	return err
}

// dropNotes removes the note: the command has come to its end.
func (c *copier) dropNotes() (err error) {
	for _, path := range c.notes {
		if e := os.Remove(path); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// readNote reads a note, nil where there is none. One that cannot be
// understood is none: a copy is then made anew.
func readNote(path string) (*note, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if _, gone := os.Lstat(path); errors.Is(gone, fs.ErrPermission) { // who makes the target will say it
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var n note
	if err := json.Unmarshal(text, &n); err != nil {
		return nil, nil
	}
	return &n, nil
}
