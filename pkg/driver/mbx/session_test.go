package mbx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
)

// rebuilt makes a mailbox of the messages of a golden file, without their
// keywords, and opens it.
func (w *world) rebuilt(golden string) (mailbox.Name, *box) {
	w.t.Helper()
	items, validity := w.copyOf(golden)
	for i := range items {
		items[i].Flags.Keywords = 0
	}
	w.now = time.Unix(int64(validity), 0).UTC()
	n := w.name("box")
	w.deliver(n, mailbox.AppendOptions{New: true}, items...)
	return n, w.open(n, mailbox.ReadWrite)
}

func (w *world) store(b *box, seq uint32, op mailbox.FlagOp, f mailbox.FlagList) {
	w.t.Helper()
	if err := b.Store(mailbox.One(seq), op, f); err != nil {
		w.t.Fatal(err)
	}
}

func TestStoreLikeTheOriginal(t *testing.T) {
	t.Run("flags", func(t *testing.T) {
		w := newWorld(t)
		n, _ := w.rebuilt("mbx/flags.mbx")
		w.compare(n, "mbx/flags.mbx")
	})
	for _, golden := range []string{"keywords", "keywords30"} {
		t.Run(golden, func(t *testing.T) {
			w := newWorld(t)
			w.PID = 0x7a3
			if golden == "keywords30" {
				w.PID = 0x7a5
			}
			want := w.open(w.golden("mbx/"+golden+".mbx"), mailbox.ReadOnly)
			n, b := w.rebuilt("mbx/" + golden + ".mbx")
			names := want.Status().Keywords
			for i, name := range names { // in the order of creation
				for m := range want.Messages(mailbox.All) {
					if m.Flags.Keywords&(1<<i) != 0 {
						w.store(b, m.Seq, mailbox.Add, mailbox.FlagList{Keywords: []string{name}})
					}
				}
			}
			w.compare(n, "mbx/"+golden+".mbx")
		})
	}
}

func TestStore(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mbx/keywords.mbx")
	b := w.open(n, mailbox.ReadWrite)
	flags := func(b *box, seq uint32) string {
		for m := range b.Messages(mailbox.One(seq)) {
			return strings.Join(m.Flags.Names(b.Status().Keywords), " ")
		}
		return "none"
	}
	for _, tt := range []struct {
		op   mailbox.FlagOp
		f    mailbox.FlagList
		want string
	}{
		{mailbox.Replace, mailbox.FlagList{}, ""},
		{mailbox.Add, mailbox.FlagList{System: mailbox.Seen | mailbox.Recent, Keywords: []string{"wORK"}}, `\Seen Work`},
		{mailbox.Add, mailbox.FlagList{System: mailbox.Draft, Keywords: []string{"New"}}, `\Seen \Draft Work New`},
		{mailbox.Remove, mailbox.FlagList{System: mailbox.Seen, Keywords: []string{"work", "unheard"}}, `\Draft New`},
		{mailbox.Replace, mailbox.FlagList{System: mailbox.Flagged, Keywords: []string{"NonJunk"}}, `\Flagged NonJunk`},
	} {
		w.store(b, 2, tt.op, tt.f)
		if got := flags(b, 2); got != tt.want {
			t.Errorf("%v %+v: got %q, want %q", tt.op, tt.f, got, tt.want)
		}
		if got := flags(w.open(n, mailbox.ReadOnly), 2); got != tt.want {
			t.Errorf("%v %+v: in the file: got %q, want %q", tt.op, tt.f, got, tt.want)
		}
	}
	if pid := string(w.read(n)[pidOff:blockSize]); pid != "00004711\r\n" {
		t.Errorf("LASTPID: got %q", pid)
	}
	err := b.Store(mailbox.One(1), mailbox.Add, mailbox.FlagList{Keywords: []string{"a(b"}})
	if !errors.Is(err, mailbox.ErrUnsupported) || err.Error() != "Invalid flag: a(b" {
		t.Errorf("invalid keyword: got %v", err)
	}
	full := w.open(w.golden("mbx/keywords30.mbx"), mailbox.ReadWrite)
	err = full.Store(mailbox.One(1), mailbox.Add, mailbox.FlagList{Keywords: []string{"more"}})
	if !errors.Is(err, mailbox.ErrUnsupported) || err.Error() != "Unknown flag: more" {
		t.Errorf("full table: got %v", err)
	}
	ro := w.open(n, mailbox.ReadOnly)
	if err := ro.Store(mailbox.One(1), mailbox.Add, mailbox.FlagList{System: mailbox.Seen}); !errors.Is(err, mailbox.ErrReadOnly) {
		t.Errorf("read-only: got %v", err)
	}
	if _, err := ro.Expunge(mailbox.One(1)); !errors.Is(err, mailbox.ErrReadOnly) {
		t.Errorf("read-only: got %v", err)
	}
}

// Bits without a name are nobody's to change.
func TestStoreKeepsUnnamedBits(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mbx-corrupt/keyword-too-long.mbx")
	before := w.read(n)
	b := w.open(n, mailbox.ReadWrite)
	w.store(b, 2, mailbox.Replace, mailbox.FlagList{Keywords: []string{"Other"}})
	if got := b.index[1].keywords; got != 3 {
		t.Errorf("keyword bits: got %b, want the old unnamed and a new one", got)
	}
	if !bytes.Contains(w.read(n)[:pidOff], before[magicEnd:magicEnd+51]) {
		t.Error("the over-long line is gone")
	}
}

// TestExpungeTogether marks what another session has open, like the original,
// and reclaims it when that one is gone.
func TestExpungeTogether(t *testing.T) {
	w := newWorld(t)
	w.PID = 0x7ab
	golden := w.golden("mbx/expunged-unburped.mbx")
	before := bytes.ReplaceAll(w.read(golden), []byte(";000000008012-"), []byte(";000000000012-"))
	n := w.file("box", before)
	a, b := w.open(n, mailbox.ReadWrite), w.open(n, mailbox.ReadWrite)
	var doomed mailbox.Set
	for m := range a.Messages(mailbox.All) {
		if m.Flags.System&mailbox.Deleted != 0 {
			doomed.Add(m.Seq)
		}
	}
	if got, err := a.Expunge(doomed); got != 2 || err != nil || a.Status().Messages != 3 {
		t.Fatalf("Expunge: got %d, %v, %d messages left; want 2, 3 left", got, err, a.Status().Messages)
	}
	w.compare(n, "mbx/expunged-unburped.mbx")
	if _, err := b.Open(5); err != nil {
		t.Errorf("the other session cannot read any more: %v", err)
	}
	if changed, err := b.Ping(); !changed || err != nil || b.Status().Messages != 3 {
		t.Errorf("Ping of the other: got %v, %v, %d messages", changed, err, b.Status().Messages)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	w.compare(n, "mbx/expunged-unburped.mbx")
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	file := w.read(n)
	if len(file) >= len(before) || bytes.Contains(file, []byte(";000000008012-")) {
		t.Errorf("the space was not reclaimed: %d octets of %d", len(file), len(before))
	}
	w.sameMessages(n, golden)
}

// sameMessages compares all that two mailboxes tell but offsets.
func (w *world) sameMessages(a, b mailbox.Name) {
	w.t.Helper()
	tell := func(n mailbox.Name) (out []goldenMessage) {
		b := w.open(n, mailbox.ReadOnly)
		defer b.Close()
		for m := range b.Messages(mailbox.All) {
			g := observe(w.t, b, m)
			g.Offset = 0
			out = append(out, g)
		}
		return out
	}
	if got, want := fmt.Sprint(tell(a)), fmt.Sprint(tell(b)); got != want {
		w.t.Errorf("messages\n got %s\nwant %s", got, want)
	}
}

// TestExpungeModel removes many sets of messages from a small mailbox and
// compares with a model.
func TestExpungeModel(t *testing.T) {
	w := newWorld(t)
	golden := w.golden("mbx/flags.mbx")
	file := w.read(golden)
	all := w.open(golden, mailbox.ReadOnly)
	records := map[uint32]string{}
	for i := range all.index {
		r := &all.index[i]
		records[r.uid] = string(file[r.off:r.end()])
	}
	for set := 0; set < 1<<8; set += 3 {
		n := w.file("box", file)
		b := w.open(n, mailbox.ReadWrite)
		var doomed mailbox.Set
		want := string(file[:blockSize])
		for seq := range uint32(8) {
			if set&(1<<seq) != 0 {
				doomed.Add(seq + 1)
			} else {
				want += records[seq+1]
			}
		}
		if _, err := b.Expunge(doomed); err != nil {
			t.Fatal(err)
		}
		for m := range b.Messages(mailbox.All) {
			if got := string(w.read(n)[b.index[m.Seq-1].off:b.index[m.Seq-1].end()]); got != records[m.UID] {
				t.Errorf("set %08b: message %d is at the wrong place", set, m.Seq)
			}
		}
		if got := string(w.read(n)); got != want {
			t.Fatalf("set %08b: got\n%q\nwant\n%q", set, got, want)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReclaimOnOpen(t *testing.T) {
	w := newWorld(t)
	for file, want := range map[string]int64{
		"expunged-unburped.mbx": 3156 - 222 - 215, // the middle and the end
		"expunged-trailing.mbx": 3156,             // not looked for
		"expunged-all.mbx":      3156,
	} {
		n := w.golden("mbx/" + file)
		if err := w.open(n, mailbox.ReadWrite).Close(); err != nil {
			t.Error(err)
		}
		fi, _ := os.Stat(n.Path)
		if fi.Size() >= 3156 != (want == 3156) {
			t.Errorf("%s: got %d octets, want about %d", file, fi.Size(), want)
		}
		b := w.open(n, mailbox.ReadWrite)
		left := b.Status().Messages
		if got, err := b.Expunge(mailbox.Set{}); got != 0 || err != nil || b.Status().Messages != left {
			t.Errorf("%s: expunge of nothing: got %d, %v", file, got, err)
		}
		if end := append([]record{{off: blockSize}}, b.index...)[len(b.index)].end(); end != b.End {
			t.Errorf("%s: an expunge leaves expunged records at the end", file)
		}
	}
}

// TestTwoSessions has one session see what the other does.
func TestTwoSessions(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mbx/append-uid0.mbx")
	a := w.open(n, mailbox.ReadWrite)
	b := w.open(n, mailbox.ReadWrite)
	ro := w.open(n, mailbox.ReadOnly)
	if a.Status().Recent != 3 || b.Status().Recent != 0 || ro.Status().Recent != 0 {
		t.Errorf("recent: got %d, %d, %d; want 3, 0, 0", a.Status().Recent, b.Status().Recent, ro.Status().Recent)
	}
	sees := func(what string, boxes ...*box) {
		t.Helper()
		for i, o := range boxes {
			if changed, err := o.Ping(); err != nil || !changed {
				t.Errorf("%s: session %d: Ping: got %v, %v", what, i, changed, err)
			}
			if changed, err := o.Ping(); err != nil || changed {
				t.Errorf("%s: session %d: second Ping: got %v, %v", what, i, changed, err)
			}
		}
	}
	w.store(a, 1, mailbox.Add, mailbox.FlagList{System: mailbox.Flagged, Keywords: []string{"K"}})
	sees("flag", b, ro)
	w.store(b, 1, mailbox.Remove, mailbox.FlagList{System: mailbox.Flagged})
	sees("unflag", a, ro)
	if f := a.index[0].flags; f&bitFlagged != 0 || a.index[0].keywords != 1 {
		t.Errorf("flags: got %x", f)
	}
	w.deliver(n, mailbox.AppendOptions{}, item("A: b\r\n\r\nc\r\n"))
	sees("mail", ro, a, b)
	if a.Status().Recent != 4 || b.Status().Recent != 0 || ro.Status().Recent != 1 || ro.index[3].uid != 4 {
		t.Errorf("recent: got %d, %d, %d; want 4, 0, 1", a.Status().Recent, b.Status().Recent, ro.Status().Recent)
	}
	if _, err := b.Expunge(mailbox.One(2)); err != nil {
		t.Fatal(err)
	}
	sees("expunge", a, ro)
	for _, o := range []*box{a, b, ro} {
		var uids []uint32
		for m := range o.Messages(mailbox.All) {
			uids = append(uids, m.UID)
		}
		if !slices.Equal(uids, []uint32{1, 3, 4}) {
			t.Errorf("UIDs: got %v", uids)
		}
	}
	ctx := context.Background()
	if err := w.Delete(ctx, n); !errors.Is(err, mailbox.ErrBusy) || err.Error() != "Mailbox append-uid0.mbx is in use by another process" {
		t.Errorf("Delete: got %v", err)
	}
	if err := w.Rename(ctx, n, w.name("d/new")); !errors.Is(err, mailbox.ErrBusy) {
		t.Errorf("Rename: got %v", err)
	}
	for _, o := range []*box{a, b, ro} {
		o.Close()
	}
	if err := w.Rename(ctx, n, w.golden("mbx/flags.mbx")); !errors.Is(err, mailbox.ErrExist) {
		t.Errorf("Rename to a name that is taken: got %v", err)
	}
	if err := w.Rename(ctx, n, w.name("d/new")); err != nil {
		t.Error(err)
	}
	if err := w.Delete(ctx, w.name("d/new")); err != nil {
		t.Error(err)
	}
	if _, err := w.Open(ctx, w.name("d/new"), mailbox.ReadOnly); !errors.Is(err, mailbox.ErrNotExist) {
		t.Errorf("Open of what was deleted: got %v", err)
	}
}

func TestProve(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mbx/flags.mbx")
	a, b := w.open(n, mailbox.ReadOnly), w.open(n, mailbox.ReadWrite)
	first, err := a.Prove()
	if err != nil {
		t.Fatal(err)
	}
	w.deliver(n, mailbox.AppendOptions{}, item("A: b\r\n\r\nc\r\n"))
	second, err := a.Prove()
	if err != nil || second.Size != first.Size || second.Digest != first.Digest || second.Now <= first.Now {
		t.Errorf("new mail: got %+v after %+v", second, first)
	}
	w.store(b, 1, mailbox.Add, mailbox.FlagList{System: mailbox.Flagged})
	if third, err := a.Prove(); err != nil || third.Digest == first.Digest {
		t.Errorf("a changed octet: got %+v after %+v, %v", third, first, err)
	}
}

// TestForeignRebuild has another session give new UIDs while one is open.
func TestForeignRebuild(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mbx/flags.mbx")
	b := w.open(n, mailbox.ReadWrite)
	file := w.read(n)
	k, _ := parseBlock(file)
	k.uidLast, k.validity = 20, k.validity+1
	p, _ := k.print()
	copy(file, p)
	for i := range b.index { // what the other wrote
		r := &b.index[i]
		copy(file[r.patch():], appendFlags(nil, r.keywords, r.flags, r.uid+10))
	}
	w.file("flags.mbx", file)
	w.store(b, 3, mailbox.Add, mailbox.FlagList{System: mailbox.Seen})
	if changed, err := b.Ping(); !changed || err != nil {
		t.Errorf("Ping: got %v, %v", changed, err)
	}
	if b.index[0].uid != 11 || b.index[2].uid != 13 || b.Status().UIDValidity != k.validity {
		t.Errorf("got %+v", b.Status())
	}
	if got := w.open(n, mailbox.ReadOnly); got.index[2].uid != 13 || got.Status().UIDValidity != k.validity {
		t.Errorf("in the file: got %+v", got.Status())
	}
	// A line that is none any more is not written to.
	copy(file[b.index[4].patch():], "XXXX")
	w.file("flags.mbx", file)
	err := b.Store(mailbox.One(5), mailbox.Add, mailbox.FlagList{System: mailbox.Seen})
	if !errors.Is(err, mailbox.ErrCorrupt) || !strings.HasPrefix(err.Error(), "Invalid flags for message 5 (2941 54): ;XXXX") {
		t.Errorf("a damaged line: got %v", err)
	}
	if _, err := b.Expunge(mailbox.One(5)); !errors.Is(err, mailbox.ErrCorrupt) {
		t.Errorf("a damaged line: got %v", err)
	}
	if string(w.read(n)) != string(file) {
		t.Error("the damaged mailbox was written to")
	}
	// Nor is one that became shorter.
	if err := os.Truncate(n.Path, 2300); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Ping(); !errors.Is(err, mailbox.ErrChanged) || err.Error() != "Mailbox shrank from 3833 to 2300!" {
		t.Errorf("Ping of a shorter mailbox: got %v", err)
	}
}

// TestForeignRebuildLower has another session give lower UIDs, and mail come.
func TestForeignRebuildLower(t *testing.T) {
	for _, mode := range []mailbox.Mode{mailbox.ReadOnly, mailbox.ReadWrite} {
		w := newWorld(t)
		n := w.golden("mbx/uid-gaps.mbx") // 1, 4, 5
		b := w.open(n, mode)
		file := w.read(n)
		k, _ := parseBlock(file)
		k.uidLast, k.validity = 3, k.validity+1
		p, _ := k.print()
		copy(file, p)
		for i := range b.index {
			copy(file[b.index[i].patch():], appendFlags(nil, 0, bitOld, uint32(i)+1))
		}
		w.file("uid-gaps.mbx", file)
		w.deliver(n, mailbox.AppendOptions{}, item("A: b\r\n\r\n"))
		if changed, err := b.Ping(); !changed || err != nil {
			t.Errorf("Ping: got %v, %v", changed, err)
		}
		var uids []uint32
		for m := range b.Messages(mailbox.All) {
			uids = append(uids, m.UID)
		}
		if !slices.Equal(uids, []uint32{1, 2, 3, 4}) || b.Status().UIDValidity != k.validity || len(w.heard) > 0 {
			t.Errorf("got UIDs %v, %+v, said %q", uids, b.Status(), w.heard)
		}
	}
}
