package damage

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
)

// A Driver is what is tried.
type Driver interface {
	mailbox.Driver
	mailbox.Appender
	mailbox.Checker
	mailbox.Repairer
}

// A Bench damages mailboxes of one format, has them repaired, and counts what
// comes back.
type Bench struct {
	// At returns a driver for the mailboxes in a home directory, and the name of
	// one of them.
	At func(t testing.TB, home string, fsys fsx.FS) (Driver, mailbox.Name)

	// Index says where the messages of a sound mailbox are.
	Index func(t testing.TB, octets []byte) []Message

	// Plain returns the texts that a reader has of the octets of a mailbox before
	// it comes to damage; nil where readers do not stop at any.
	Plain func(t testing.TB, octets []byte) []string

	// Hides reports whether a line that is not as it was says that its message was
	// removed; nil where none can.
	Hides func(line []byte) bool

	Sized bool     // the format has sizes
	UIDs  bool     // and UIDs
	More  []Class  // of damage that only this format can have
	Texts []string // of which mailboxes are made, with CRLF line ends; nil for those of real mail
	Lacks int      // messages of a thousand that may be lost, lack their metadata or be too many
}

// A Told is a message as a reader tells it.
type Told struct {
	Text        string
	Flags, Date string
	UID         uint32
}

// tell opens a mailbox and tells its messages.
func tell(d mailbox.Driver, n mailbox.Name) (out []Told, err error) {
	mb, err := d.Open(context.Background(), n, mailbox.ReadOnly)
	if err != nil {
		return nil, err
	}
	defer mb.Close()
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			return out, err
		}
		c, err := mb.Open(m.Seq)
		if err != nil {
			return out, err
		}
		text, err := io.ReadAll(c)
		if err != nil {
			return out, err
		}
		m.Flags.System &^= mailbox.Recent
		names := m.Flags.Names(mb.Status().Keywords)
		out = append(out, Told{string(text), strings.Join(names, " "), m.Date.String(), m.UID})
	}
	return out, nil
}

// repair repairs a mailbox until there is nothing to be done.
func repair(d Driver, n mailbox.Name) (needed bool, err error) {
	for range 3 {
		r, err := d.PlanRepair(context.Background(), n, mailbox.RepairOptions{}, nil)
		if err != nil {
			return needed, err
		}
		if !r.Needed() {
			return needed, r.Close()
		}
		needed = true
		_, again, err := r.CarryOut(context.Background())
		if err = errors.Join(err, r.Close()); err != nil {
			return needed, err
		}
		if !again {
			return needed, nil
		}
	}
	return needed, errors.New("there is an interrupted change again and again")
}

// A Score counts messages.
type Score struct {
	Intact, Back int // those that are physically intact, and those that came back
	Lines, Meta  int // of these: those whose line is intact, too, and those whose metadata came back
	Glued, Apart int // intact ones with octets behind them that nobody can tell from theirs, and those that came back
	Invented     int // messages that were none, or that are there twice
	Boxes        int // mailboxes
}

func (s *Score) add(o Score) {
	s.Intact += o.Intact
	s.Back += o.Back
	s.Lines += o.Lines
	s.Meta += o.Meta
	s.Glued += o.Glued
	s.Apart += o.Apart
	s.Invented += o.Invented
	s.Boxes += o.Boxes
}

// good reports whether all came back that was there, and nothing else.
func (s Score) good() bool { return s.Back == s.Intact && s.Meta == s.Lines && s.Invented == 0 }

func (s Score) String() string {
	return fmt.Sprintf("%d mailboxes: intact %d/%d, with UID, flags and date %d/%d, invented %d, glued %d/%d",
		s.Boxes, s.Back, s.Intact, s.Meta, s.Lines, s.Invented, s.Apart, s.Glued)
}

// Run tries each class on so many mailboxes, and prints the score, which must be
// good, or where messages may lack good enough for all classes together; what must
// hold for each mailbox is not a matter of scores.
func (b *Bench) Run(t *testing.T, tries int) {
	all := b.texts(t)
	var sum Score
	for n, c := range slices.Concat(Classes, Single, Pages, b.More) {
		t.Run(c.Name, func(t *testing.T) {
			var s Score
			for k := range tries {
				tr := trial{b: b, t: t, class: c, seed: Seed(n, k)}
				s.add(tr.run(all))
			}
			say := t.Logf
			if !s.good() && (b.Lacks == 0 || c.Harmless) {
				say = t.Errorf
			}
			say("%v", s)
			sum.add(s)
		})
	}
	t.Logf("%v", sum)
	if lacking := sum.Intact - sum.Back + sum.Lines - sum.Meta + sum.Invented; lacking*1000 > sum.Intact*b.Lacks {
		t.Errorf("%d messages lack, their metadata or they themselves, or are too many", lacking)
	}
}

func (b *Bench) texts(t *testing.T) []string {
	if b.Texts != nil {
		return b.Texts
	}
	return RealMail(t)
}

// first lets tests be run with other mailboxes than those of always.
var first = flag.Uint64("damage-seed", 0, "first of the seeds of each class of damage")

// Seed is that of try k of class n.
func Seed(n, k int) uint64 { return *first + uint64(n*1000+k) }

// Wrecks yields one mailbox for each class, damaged.
func (b *Bench) Wrecks(t *testing.T) iter.Seq2[string, []byte] {
	all := b.texts(t)
	return func(yield func(string, []byte) bool) {
		for n, c := range slices.Concat(Classes, Single, Pages, b.More) {
			tr := trial{b: b, t: t, class: c, seed: uint64(n*1000 + 999)}
			tr.wreck(all)
			if !yield(c.Name, tr.f.Octets) {
				return
			}
		}
	}
}

// A trial is one mailbox that is damaged and repaired.
type trial struct {
	b     *Bench
	t     *testing.T
	class Class
	seed  uint64
	f     *File
	truth []Told

	revived bool // messages that were to be removed are still there
}

func (tr *trial) say(format string, args ...any) {
	tr.t.Logf("%s, seed %d: %s", tr.class.Name, tr.seed, fmt.Sprintf(format, args...))
}

// wreck makes the mailbox and breaks it.
func (tr *trial) wreck(all []string) {
	octets, msgs, told := tr.mailbox(all, 6+int(tr.seed%9), tr.seed)
	other, others, more := tr.mailbox(all, 3, tr.seed+1<<32)
	tr.truth = append(told, more...)
	tr.f = New(octets, msgs, tr.seed)
	tr.f.Beside(other, others)
	tr.class.Do(tr.f)
}

// run makes the mailbox, breaks it, and has it repaired.
func (tr *trial) run(all []string) (s Score) {
	tr.wreck(all)
	s.Boxes = 1
	after, err := tr.b.Repair(tr.t, tr.f.Octets)
	if err != nil {
		if !errors.Is(err, mailbox.ErrFormat) {
			tr.t.Errorf("%s, seed %d: %v", tr.class.Name, tr.seed, err)
		}
		if all, _ := tr.expected(); !slices.ContainsFunc(all, func(e expected) bool { return e.Line }) {
			s.Glued = len(all) // nothing is left that has a format
			return s
		}
		tr.say("%v", err)
	}
	tr.count(&s, after)
	return s
}

// mailbox makes a mailbox of n of the texts.
func (tr *trial) mailbox(all []string, n int, seed uint64) (octets []byte, msgs []Message, told []Told) {
	d, name := tr.b.At(tr.t, tr.t.TempDir(), fsxtest.Unsynced{})
	rnd := rand.New(rand.NewPCG(seed, 3))
	del, err := d.Append(context.Background(), name, mailbox.AppendOptions{New: true, Keywords: []string{"Work", "Later"}, UIDValidity: 1234567890, UIDNext: uint32(3*n + 5)})
	if err != nil {
		tr.t.Fatal(err)
	}
	defer del.Abort()
	uid := uint32(0)
	for i := range n {
		uid += 1 + rnd.Uint32N(3)
		text := fmt.Sprintf("X-Unique: %d.%d@x\r\n%s", seed, i, all[rnd.IntN(len(all))])
		it := mailbox.Item{Text: strings.NewReader(text), Sender: "a@b", Message: mailbox.Message{UID: uid, Size: int64(len(text))}}
		it.Flags = mailbox.Flags{System: mailbox.SystemFlags(rnd.UintN(16)), Keywords: rnd.Uint64N(4)}
		it.Date = mailbox.Date{Year: 2001 + uint16(i), Month: uint8(1 + rnd.IntN(12)), Day: uint8(1 + rnd.IntN(28)), Hour: uint8(rnd.IntN(24)), Zone: 60}
		if _, err := del.Add(it); err != nil {
			tr.t.Fatal(err)
		}
	}
	if _, err := del.Commit(); err != nil {
		tr.t.Fatal(err)
	}
	if octets, err = os.ReadFile(name.Path); err != nil {
		tr.t.Fatal(err)
	}
	if told, err = tell(d, name); err != nil {
		tr.t.Fatal(err)
	}
	return octets, tr.b.Index(tr.t, octets), told
}

// Repair repairs a mailbox of the octets, and tells its messages. What must hold
// for all octets does: the result is sound, a second repair finds nothing to do,
// and nothing is lost that readers had. The error is mailbox.ErrFormat where the
// format cannot be seen any more; then nothing was done.
func (b *Bench) Repair(t testing.TB, octets []byte) ([]Told, error) {
	t.Helper()
	d, n := b.put(t, octets, fsxtest.Unsynced{})
	before := b.plain(t, d, n, octets)
	_, err := repair(d, n)
	now, rerr := os.ReadFile(n.Path)
	if err != nil || rerr != nil {
		if !bytes.Equal(now, octets) {
			err = errors.Join(err, rerr, errors.New("changed nevertheless"))
		}
		return nil, err
	}
	if len(now) == 0 {
		return nil, nil // of no format any more
	}
	if in, err := d.Inspect(context.Background(), n, nil); err != nil || !in.Sound() {
		return nil, fmt.Errorf("not sound afterwards: %v", err)
	}
	needed, err := repair(d, n)
	if again, rerr := os.ReadFile(n.Path); needed || err != nil || rerr != nil || !bytes.Equal(now, again) {
		return nil, fmt.Errorf("a second repair finds something: %v", err)
	}
	after, err := tell(d, n)
	if err != nil {
		return nil, fmt.Errorf("the repaired mailbox: %v", err)
	}
	if gone := lost(before, after, n.Path); gone != "" {
		return nil, fmt.Errorf("readers had it, and now it is lost: %.300q", gone)
	}
	return after, nil
}

// plain returns the texts that readers have.
func (b *Bench) plain(t testing.TB, d Driver, n mailbox.Name, octets []byte) (out []string) {
	if b.Plain != nil {
		return b.Plain(t, octets)
	}
	told, _ := tell(d, n) // none, where they cannot read it
	for _, m := range told {
		out = append(out, m.Text)
	}
	return out
}

// An expected message is one that is physically intact.
type expected struct {
	k int
	Left
}

// expected returns the messages that must come back, as they follow each other
// in the damaged file, and how many there are that nobody can tell from what is
// behind them.
func (tr *trial) expected() (all, glued []expected) {
	for k := range tr.f.Msgs {
		l := tr.f.Left(k)
		if tr.class.Restores != "" && k < tr.f.Own {
			l = Left{tr.f.ends(k, tr.class.Restores), true, tr.f.Msgs[k].Text}
		}
		switch {
		case tr.f.Gone(k):
			tr.revived = tr.revived || l.Text
		case !l.Text:
		case tr.b.Sized && tr.f.Within(l.At):
		case tr.b.Hides != nil && !l.Line && tr.b.Hides(tr.f.Octets[max(0, l.At-maxLine):l.At]):
		case tr.b.Sized && tr.class.Restores == "" && tr.f.Open(k, l.At):
			glued = append(glued, expected{k, l})
		case tr.b.Sized && !l.Line && tr.f.Veiled(k, l.At):
			glued = append(glued, expected{k, l})
		case !tr.b.Sized && tr.class.Restores == "" && (tr.f.Grown(k, l.At) || !l.Line && tr.f.Headless(k, l.At)):
			glued = append(glued, expected{k, l})
		default:
			all = append(all, expected{k, l})
		}
	}
	slices.SortStableFunc(all, func(a, b expected) int { return a.At - b.At })
	if tr.b.Sized {
		return all, glued
	}
	for i := 0; i < len(all); i++ { // one that has lost its line is known by its place only
		if e := all[i]; !e.Line && (i > 0 && all[i-1].k > e.k || i+1 < len(all) && all[i+1].k < e.k) {
			glued = append(glued, e)
			all = slices.Delete(all, i, i+1)
			i--
		}
	}
	return all, glued
}

// count compares what came back with what is left.
func (tr *trial) count(s *Score, got []Told) {
	all, glued := tr.expected()
	at, ascending := 0, !tr.revived && slices.IsSortedFunc(all, func(a, b expected) int { return a.k - b.k })
	last, lastUID := -1, uint32(0) // the message before that has its UID
	for _, e := range all {
		s.Intact++
		i := slices.IndexFunc(got[at:], func(g Told) bool { return g.Text == tr.truth[e.k].Text })
		if i < 0 {
			tr.say("message %d is lost", e.k+1)
			continue
		}
		s.Back++
		at += i + 1
		if !e.Line {
			continue
		}
		s.Lines++
		if want := tr.truth[e.k].UID; at-1-last > int(want-lastUID) || tr.class.Renumbers {
			ascending = false // others stand between them that need UIDs, and there are not enough
		} else {
			last, lastUID = at-1, want
		}
		if tr.same(got[at-1], tr.truth[e.k], ascending && e.k < tr.f.Own) {
			s.Meta++
		} else {
			tr.say("message %d: got %v\nwant %v", e.k+1, got[at-1].meta(), tr.truth[e.k].meta())
		}
	}
	s.Glued = len(glued)
	for _, e := range glued {
		if slices.ContainsFunc(got, func(g Told) bool { return g.Text == tr.truth[e.k].Text }) {
			s.Apart++
		}
	}
	s.Invented = tr.invented(got)
}

func (m Told) meta() string { return fmt.Sprintf("UID %d, %q, %s", m.UID, m.Flags, m.Date) }

// same reports whether flags, date and UID are the same.
func (tr *trial) same(got, want Told, uid bool) bool {
	if !tr.f.Named() { // keywords have other names now
		got.Flags, want.Flags = unnamed(got.Flags), unnamed(want.Flags)
	}
	return got.Flags == want.Flags && got.Date == want.Date && (!uid || !tr.b.UIDs || !tr.b.Sized && !tr.f.Named() || got.UID == want.UID)
}

// unnamed replaces the names of keywords.
func unnamed(flags string) string {
	words := strings.Fields(flags)
	for i, w := range words {
		if w[0] != '\\' {
			words[i] = "keyword"
		}
	}
	return strings.Join(words, " ")
}

// invented returns how many messages are too many. Without UIDs a file that
// consists of whole messages is sound, whatever was done to it: the same message
// twice is what somebody wanted.
func (tr *trial) invented(got []Told) int {
	if !tr.b.UIDs && tr.f.Whole(0) {
		return 0
	}
	left, twice, odd, seen := 0, 0, 0, map[string]bool{}
	for k := range tr.f.Msgs {
		left += tr.f.Parts(k)
	}
	for i, m := range got {
		id, _, _ := strings.Cut(m.Text, "\r\n")
		switch {
		case strings.HasPrefix(id, "X-Unique: ") && !seen[id]:
			seen[id] = true
		case !strings.HasPrefix(id, "X-Unique: ") && tr.isPart(m.Text) && !slices.ContainsFunc(got[:i], func(g Told) bool { return strings.Contains(g.Text, m.Text) }):
		case seen[id]:
			tr.say("message %d is there twice: %s", i+1, id)
			twice++
		default:
			odd++
			if len(got) > left {
				tr.say("message %d of %d may be too many: %.60q", i+1, len(got), m.Text)
			}
		}
	}
	return twice + max(0, min(odd, len(got)-twice-left))
}

// isPart reports whether a text is what is left of a message.
func (tr *trial) isPart(text string) bool {
	const enough = 24
	text = strings.Trim(text, "\r\n\x00")
	if len(text) < enough {
		return false
	}
	return slices.ContainsFunc(tr.truth, func(m Told) bool {
		return strings.Contains(m.Text, text[:enough]) || strings.Contains(m.Text, text[len(text)-enough:])
	})
}
