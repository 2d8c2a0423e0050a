package imap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailutil/pkg/mailbox"
)

// maxSet is how long a set of UIDs in a command may be: servers limit lines.
const maxSet = 4000

// sets calls f with the UIDs of the messages in s, in sets that are not too
// long.
func (b *openBox) sets(s mailbox.Set, f func(uids string) error) error {
	const most = maxSet / len("4294967295,")
	for part := range slices.Chunk(b.ranges(s), most) {
		if err := f(strings.Join(part, ",")); err != nil {
			return err
		}
	}
	return nil
}

// ranges writes the UIDs of messages, those that follow each other as one.
func (b *openBox) ranges(s mailbox.Set) []string {
	var out []string
	var run []uint32
	flush := func() {
		if len(run) > 0 {
			out = append(out, b.uids(run))
			run = run[:0]
		}
	}
	for seq := range s.Seqs(uint32(len(b.msgs))) {
		if n := len(run); n > 0 && (run[n-1]+1 != seq || b.msgs[run[n-1]-1].uid+1 != b.msgs[seq-1].uid) {
			flush()
		}
		run = append(run, seq)
	}
	flush()
	return out
}

// writable is the error of a mailbox that cannot be changed.
func (b *openBox) writable() error {
	if b.readOnly {
		return mailbox.ErrReadOnly
	}
	return b.pipe.drain()
}

// Store changes flags.
func (b *openBox) Store(s mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	if err := b.writable(); err != nil {
		return b.fail("store", err)
	}
	for _, k := range f.Keywords {
		if !mailbox.ValidKeyword(k) || !b.permanent.keeps(k) {
			return b.fail("store", fmt.Errorf("%w: the server does not keep the keyword %s", mailbox.ErrUnsupported, k))
		}
	}
	flags := mailbox.Flags{System: f.System &^ mailbox.Recent}
	names := append(flags.Names(nil), f.Keywords...)
	for _, k := range f.Keywords {
		flags.Keywords |= b.bit(k)
	}
	for seq := range s.Seqs(uint32(len(b.msgs))) {
		b.msgs[seq-1].flags = b.msgs[seq-1].flags.Apply(op, flags)
	}
	return b.fail("store", b.store(s, op, names))
}

// store sends the commands for a change of flags.
func (b *openBox) store(s mailbox.Set, op mailbox.FlagOp, names []string) error {
	// Not SILENT: the answer has what other sessions did to these flags, too.
	item := map[mailbox.FlagOp]string{mailbox.Add: "+FLAGS", mailbox.Remove: "-FLAGS", mailbox.Replace: "FLAGS"}[op]
	if len(names) == 0 && op != mailbox.Replace {
		return nil
	}
	return b.sets(s, func(uids string) error {
		_, err := b.c.command("UID STORE %s %s (%s)", uids, item, strings.Join(names, " "))
		return err
	})
}

// Expunge removes messages. They are marked first, and then go in one command
// where their UIDs fit into one.
func (b *openBox) Expunge(s mailbox.Set) (int, error) {
	if err := b.writable(); err != nil {
		return 0, b.fail("expunge", err)
	}
	// Those that others removed in the meantime are not ours to count.
	s, err := b.stillThere(s)
	if err != nil {
		return 0, b.fail("expunge", err)
	}
	before := len(b.msgs)
	err = b.expunge(s)
	b.forget()
	gone := before - len(b.msgs)
	return gone, b.fail("expunge", err)
}

// stillThere returns the messages of s, in new numbers, that nobody has removed
// yet.
func (b *openBox) stillThere(s mailbox.Set) (out mailbox.Set, err error) {
	var uids []uint32
	for seq := range s.Seqs(uint32(len(b.msgs))) {
		uids = append(uids, b.msgs[seq-1].uid)
	}
	if _, err := b.c.command("NOOP"); err != nil {
		return out, err
	}
	b.forget()
	for i, e := range b.msgs {
		if _, ok := slices.BinarySearch(uids, e.uid); ok {
			out.Add(uint32(i + 1))
		}
	}
	return out, nil
}

func (b *openBox) expunge(s mailbox.Set) error {
	if len(b.msgs) == 0 || len(b.ranges(s)) == 0 {
		return nil
	}
	if err := b.store(s, mailbox.Add, []string{`\Deleted`}); err != nil {
		return err
	}
	if b.c.has("UIDPLUS") {
		return b.sets(s, func(uids string) error {
			_, err := b.c.command("UID EXPUNGE %s", uids) // RFC 4315, 2.1
			return err
		})
	}
	var others mailbox.Set
	for i, e := range b.msgs {
		if seq := uint32(i + 1); e.flags.System&mailbox.Deleted != 0 && !s.Contains(seq) {
			others.Add(seq)
		}
	}
	if err := b.store(others, mailbox.Remove, []string{`\Deleted`}); err != nil {
		return err
	}
	_, err := b.c.command("EXPUNGE")
	if others.Empty() {
		return err
	}
	// Their numbers have changed, their UIDs have not.
	var marked []uint32
	for seq := range others.Seqs(uint32(len(b.msgs))) {
		marked = append(marked, b.msgs[seq-1].uid)
	}
	b.forget()
	others = mailbox.Set{}
	for i, e := range b.msgs {
		if _, ok := slices.BinarySearch(marked, e.uid); ok {
			others.Add(uint32(i + 1))
		}
	}
	return errors.Join(err, b.store(others, mailbox.Add, []string{`\Deleted`}))
}
