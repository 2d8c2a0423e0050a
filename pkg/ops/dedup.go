package ops

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"mailutil/pkg/internal/node"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/rfc822"
)

// DedupOptions say what counts as the same message, and what becomes of the
// second one.
type DedupOptions struct {
	// ByMessageID takes messages with the same Message-ID to be the same,
	// whatever is in them, as Alpine does. Without it their bodies, but for line
	// ends and quoting of formats, their Message-ID and their Date must be the
	// same; of messages without a Message-ID, the whole text.
	ByMessageID bool

	// To is a mailbox that gets the messages removed, "" for none. It is made
	// where it does not exist. Messages whose text it has are not added again.
	To string

	// Duplicate, when not nil, is called for each message that goes.
	Duplicate func(Duplicate)
}

// A Duplicate is a message and the one that stays.
type Duplicate struct {
	Mailbox   string // as the user wrote it
	Seq, UID  uint32
	Of        string // the mailbox of the one that stays
	OfSeq     uint32
	OfUID     uint32
	MessageID string // "" where there is none
}

// Deduped sums up.
type Deduped struct {
	Found      uint32 // messages in all mailboxes
	Duplicates uint32 // of them are the same as others
	Moved      uint32 // copied to the mailbox To, proven to be there
	Expunged   uint32
	Flagged    uint32 // messages that stay and got flags or keywords of duplicates
}

// errTwice means that a mailbox was named twice: all of its messages would go.
var errTwice = errors.New("it was named twice")

// Dedup expunges messages that are in the mailboxes more than once. The first
// stays, in the order of the mailboxes, but one that is marked Deleted goes
// before others. It gets the flags and keywords of all of them, but for Deleted.
// Nothing is expunged before the flags are set and all that is to be moved is
// proven to be in its mailbox.
func (s *Session) Dedup(ctx context.Context, names []string, o DedupOptions) (d Deduped, err error) {
	w := &deduper{s: s, o: o, groups: map[fingerprint]group{}}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.open(ctx, names); err != nil {
		return d, err
	}
	for i := range w.boxes {
		if err := w.read(ctx, i); err != nil {
			return w.sum, fmt.Errorf("%s: %w", names[i], err)
		}
	}
	w.tell()
	if s.DryRun || w.sum.Duplicates == 0 {
		return w.sum, nil
	}
	return w.sum, w.apply(ctx)
}

// A group is a message that stays, and those that are the same.
type group struct {
	box   uint32
	seq   uint32
	extra int32 // index into deduper.extras and 1; 0 where it is alone
}

// extra is what is known of a group of several.
type extra struct {
	keeper   place
	deleted  bool // the keeper is marked Deleted: another is better
	goes     []place
	system   mailbox.SystemFlags
	keywords map[string]string // by their lower case
}

// A place is a message in one of the mailboxes.
type place struct{ box, seq uint32 }

// A deduper is one run.
type deduper struct {
	s      *Session
	o      DedupOptions
	boxes  []*dedupBox
	groups map[fingerprint]group
	extras []*extra
	sum    Deduped
}

// A dedupBox is one of the mailboxes.
type dedupBox struct {
	name string
	mb   mailbox.Mailbox
	msgs []mailbox.Message
	goes mailbox.Set
}

// open opens the mailboxes, none of them twice.
func (w *deduper) open(ctx context.Context, names []string) error {
	mode := mailbox.ReadWrite
	if w.s.DryRun {
		mode = mailbox.ReadOnly
	}
	seen := map[any]bool{}
	if w.o.To != "" {
		n, err := w.s.Env.ResolveTarget(w.o.To)
		if err != nil {
			return err
		}
		seen[identity(n)] = true
	}
	for _, name := range names {
		n, d, err := w.s.find(name)
		if err != nil {
			return err
		}
		id := identity(n)
		if seen[id] {
			return fail("dedup", name, errTwice)
		}
		seen[id] = true
		mb, err := d.Open(ctx, n, mode)
		if err != nil {
			return err
		}
		w.boxes = append(w.boxes, &dedupBox{name: name, mb: mb})
		if !w.s.DryRun && mb.Status().ReadOnly {
			return fail("open", name, mailbox.ErrReadOnly)
		}
	}
	return nil
}

// identity is the same for all names of a mailbox.
func identity(n mailbox.Name) any {
	if n.Inbox {
		return "INBOX"
	}
	if fi, err := os.Stat(n.Path); n.Path != "" && err == nil {
		return node.IDOf(fi)
	}
	return n.Path + n.Text
}

func (w *deduper) close() error {
	var err error
	for _, b := range w.boxes {
		err = errors.Join(err, b.mb.Close())
	}
	return err
}

// read looks at all messages of a mailbox.
func (w *deduper) read(ctx context.Context, i int) error {
	b := w.boxes[i]
	for m, err := range b.mb.Messages(mailbox.All) {
		if err != nil {
			return err
		}
		b.msgs = append(b.msgs, m)
	}
	for _, m := range b.msgs {
		if err := ctx.Err(); err != nil {
			return err
		}
		w.sum.Found++
		f, ok, err := w.key(b.mb, m.Seq)
		if err != nil {
			return fmt.Errorf("message %d: %w", m.Seq, err)
		}
		if ok {
			w.put(f, place{uint32(i), m.Seq})
		}
	}
	return nil
}

// key is what is the same of the same messages; ok is false where a message is
// like no other.
func (w *deduper) key(mb mailbox.Mailbox, seq uint32) (f fingerprint, ok bool, err error) {
	text, err := mb.Open(seq)
	if err != nil {
		return f, false, err
	}
	header, err := text.Header()
	if err != nil {
		return f, false, err
	}
	id := field(header, "Message-ID")
	sum := sha256.New()
	switch {
	case id == "" && w.o.ByMessageID:
		return f, false, nil
	case id == "":
		io.WriteString(sum, "text\n")
		err = writeEssence(sum, text)
	case w.o.ByMessageID:
		io.WriteString(sum, id)
	default:
		fmt.Fprintf(sum, "body of %q %q\n", id, field(header, "Date"))
		if len(header) < mailbox.MaxHeader { // else it is part of the body
			_, err = io.CopyN(io.Discard, text, int64(len(header)))
		}
		if err == nil {
			err = writeEssence(sum, text)
		}
	}
	return fingerprint(sum.Sum(nil)[:len(f)]), true, err
}

// field returns the value of the first field of a name, unfolded and without
// blanks at its ends.
func field(header []byte, name string) string {
	v, _ := rfc822.Header(header, name)
	return strings.Join(strings.Fields(string(bytes.TrimSpace(v))), " ")
}

// put adds a message to its group.
func (w *deduper) put(f fingerprint, p place) {
	g, known := w.groups[f]
	if !known {
		w.groups[f] = group{p.box, p.seq, 0}
		return
	}
	if g.extra == 0 {
		e := &extra{keywords: map[string]string{}}
		w.extras = append(w.extras, e)
		g.extra = int32(len(w.extras))
		w.groups[f] = g
		e.keeper = place{g.box, g.seq}
		e.deleted = w.at(e.keeper).Flags.System&mailbox.Deleted != 0
		w.collect(e, e.keeper)
	}
	e := w.extras[g.extra-1]
	w.collect(e, p)
	if e.deleted && w.at(p).Flags.System&mailbox.Deleted == 0 {
		e.goes = append(e.goes, e.keeper)
		e.keeper, e.deleted = p, false
	} else {
		e.goes = append(e.goes, p)
	}
	w.sum.Duplicates++
}

func (w *deduper) at(p place) mailbox.Message { return w.boxes[p.box].msgs[p.seq-1] }

// collect takes the flags and keywords of a message.
func (w *deduper) collect(e *extra, p place) {
	m := w.at(p)
	e.system |= m.Flags.System &^ (mailbox.Recent | mailbox.Deleted)
	for _, k := range (mailbox.Flags{Keywords: m.Flags.Keywords}).Names(w.boxes[p.box].mb.Status().Keywords) {
		if _, ok := e.keywords[strings.ToLower(k)]; !ok {
			e.keywords[strings.ToLower(k)] = k
		}
	}
}

// tell says what goes, in the order of the mailboxes and messages.
func (w *deduper) tell() {
	type going struct {
		place
		of place
	}
	var all []going
	for _, e := range w.extras {
		for _, p := range e.goes {
			all = append(all, going{p, e.keeper})
			w.boxes[p.box].goes.Add(p.seq)
		}
	}
	slices.SortFunc(all, func(a, b going) int {
		if a.box != b.box {
			return int(a.box) - int(b.box)
		}
		return int(a.seq) - int(b.seq)
	})
	for _, g := range all {
		if w.o.Duplicate == nil {
			return
		}
		d := Duplicate{
			Mailbox: w.boxes[g.box].name, Seq: g.seq, UID: w.at(g.place).UID,
			Of: w.boxes[g.of.box].name, OfSeq: g.of.seq, OfUID: w.at(g.of).UID,
		}
		if text, err := w.boxes[g.box].mb.Open(g.seq); err == nil {
			if header, err := text.Header(); err == nil {
				d.MessageID = field(header, "Message-ID")
			}
		}
		w.o.Duplicate(d)
	}
}

// apply sets flags, moves, and expunges, in that order.
func (w *deduper) apply(ctx context.Context) error {
	if err := w.unchanged(); err != nil {
		return err
	}
	for _, e := range w.extras {
		if err := w.flag(e); err != nil {
			return err
		}
	}
	if w.o.To != "" {
		for _, b := range w.boxes {
			if err := w.move(ctx, b); err != nil {
				return err
			}
		}
	}
	if err := w.unchanged(); err != nil {
		return err
	}
	for _, b := range w.boxes {
		if b.goes.Empty() {
			continue
		}
		n, err := b.mb.Expunge(b.goes)
		w.sum.Expunged += uint32(n)
		if err != nil {
			return err
		}
	}
	return nil
}

// unchanged returns an error unless all messages that were read are where they
// were: nobody may have expunged what is to stay.
func (w *deduper) unchanged() error {
	for _, b := range w.boxes {
		if _, err := b.mb.Ping(); err != nil {
			return err
		}
		seq := 0
		for m, err := range b.mb.Messages(mailbox.Range(1, uint32(len(b.msgs)))) {
			if err != nil {
				return err
			}
			if m.UID != b.msgs[seq].UID {
				return fail("dedup", b.name, mailbox.ErrChanged)
			}
			seq++
		}
		if seq != len(b.msgs) {
			return fail("dedup", b.name, mailbox.ErrChanged)
		}
	}
	return nil
}

// flag gives the message that stays what the others have and it has not.
func (w *deduper) flag(e *extra) error {
	b := w.boxes[e.keeper.box]
	m := w.at(e.keeper)
	list := mailbox.FlagList{System: e.system &^ m.Flags.System}
	for _, k := range (mailbox.Flags{Keywords: m.Flags.Keywords}).Names(b.mb.Status().Keywords) {
		delete(e.keywords, strings.ToLower(k))
	}
	for _, k := range e.keywords {
		list.Keywords = append(list.Keywords, k)
	}
	slices.Sort(list.Keywords)
	if list.System == 0 && list.Keywords == nil {
		return nil
	}
	err := b.mb.Store(mailbox.One(e.keeper.seq), mailbox.Add, list)
	if errors.Is(err, mailbox.ErrUnsupported) && list.Keywords != nil {
		return fmt.Errorf("%s has no room for the keywords %s of duplicates: %w", b.name, strings.Join(list.Keywords, ", "), err)
	}
	if err == nil {
		w.sum.Flagged++
	}
	return err
}

// move copies what goes from a mailbox to the one that takes it.
func (w *deduper) move(ctx context.Context, b *dedupBox) error {
	n := uint32(0)
	for range b.goes.Seqs(uint32(len(b.msgs))) {
		n++
	}
	if n == 0 {
		return nil
	}
	st := b.mb.Status()
	acc := Account{Source: st.Path, Target: w.o.To, Found: n, Failed: n}
	c := &copier{s: w.s, from: b.mb, status: st, acc: &acc, chosen: b.goes, o: CopyOptions{Verify: true}}
	// What a run that was killed has moved is not moved again.
	err := c.leaveOut(ctx, w.o.To)
	if errors.Is(err, mailbox.ErrNotExist) {
		err = nil
		c.o.Create = true
	}
	if err == nil {
		err = c.openTarget(ctx, w.o.To)
	}
	if err != nil {
		return err
	}
	defer c.to.Abort() // a no-op after Commit
	if err := c.run(ctx, w.o.To); err != nil {
		return err
	}
	if acc.Copied != acc.Found {
		return fail("append", w.o.To, errNotWhole)
	}
	if err := c.verify(ctx, w.o.To); err != nil {
		return fmt.Errorf("%w: %w; nothing was expunged", ErrUnproven, err)
	}
	w.sum.Moved += acc.Copied
	return nil
}
