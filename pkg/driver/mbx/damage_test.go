package mbx

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/internal/mend/damage"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

var tries = flag.Int("damages", 4, "how many mailboxes each class of damage is tried on")

// texts are of real mail: of the golden files, and of the large collection
// where that is there.
func texts(t *testing.T) (out []string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(testdata, "mbx", "*.mbx"))
	more, _ := filepath.Glob("../../../../shared/corpora/derived-by-cclient/*.mbx")
	for _, file := range append(files, more...) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := newScanner(bytes.NewReader(b), blockSize, int64(len(b)))
		for n := 0; n < 60; n++ {
			r, ok, err := s.next()
			if err != nil || !ok {
				break
			}
			if r.size < 20<<10 {
				out = append(out, string(b[r.text():r.end()]))
			}
		}
	}
	return append(out, "Subject: forwarded\r\n\r\nHere it is:\r\n 5-Jul-2001 02:03:04 -0700,21;000000000011-00000009\r\nSubject: inner\r\n\r\nabc\r\n"+
		" 6-Jul-2001 02:03:04 -0700,21;000000000011-0000000a\r\nSubject: inner\r\n\r\nabc\r\nThat was it.\r\n")
}

// A truth is a message of a made-up mailbox.
type truth struct {
	told
	id string
}

// makeMailbox makes a mailbox of n of the texts.
func makeMailbox(all []string, n int, seed uint64) (file []byte, msgs []damage.Message, truths []truth) {
	rnd := rand.New(rand.NewPCG(seed, 3))
	k := block{validity: 1234567890, lines: []string{"Work", "Home"}}
	uid := uint32(0)
	var body []byte
	for i := range n {
		uid += 1 + rnd.Uint32N(3)
		id := fmt.Sprintf("X-Unique: %d.%d@x\r\n", seed, i)
		text := id + all[rnd.IntN(len(all))]
		flags := uint16(bitOld) | uint16(rnd.UintN(16))
		keywords := rnd.Uint32N(4)
		date := mailbox.Date{Year: 2001 + uint16(i), Month: uint8(1 + rnd.IntN(12)), Day: uint8(1 + rnd.IntN(28)), Hour: uint8(rnd.IntN(24)), Zone: 60}
		m := damage.Message{Line: blockSize + len(body)}
		body = appendLine(body, date, false, int64(len(text)), keywords, flags, uid)
		m.Text = blockSize + len(body)
		body = append(body, text...)
		m.End = blockSize + len(body)
		msgs = append(msgs, m)
		sum := sha256.Sum256([]byte(text))
		names := mailbox.Flags{System: sysbits.Flags(flags)}.Names(nil)
		for i := range names {
			names[i] = strings.TrimPrefix(names[i], `\`)
		}
		slices.Sort(names)
		names = append(names, mailbox.Flags{Keywords: uint64(keywords)}.Names(k.lines)...)
		truths = append(truths, truth{told{hex.EncodeToString(sum[:]), strings.Join(names, " "), date.Time().Format("2006-01-02T15:04:05-07:00"), uid}, strings.TrimSpace(id)})
	}
	k.uidLast = uid + rnd.Uint32N(2)
	head, err := k.print()
	if err != nil {
		panic(err)
	}
	return append(head, body...), msgs, truths
}

// own are the kinds of damage of this format.
var own = []damage.Class{
	{Name: "block zeroed", Do: func(f *damage.File) { f.Fill(0, blockSize, 0) }},
	{Name: "block lost", Do: func(f *damage.File) { f.Cut(0, blockSize) }},
	{Name: "block a few octets shorter", Do: func(f *damage.File) { f.Cut(1000+f.Rand(1000), 1+f.Rand(9)) }},
	{Name: "block a few octets longer", Do: func(f *damage.File) { f.Insert(100+f.Rand(1900), make([]byte, 1+f.Rand(9))) }},
	{Name: "octets of the block changed", Do: func(f *damage.File) { f.Set(f.Rand(25), []byte{byte(f.Rand(256)), byte(f.Rand(256))}) }},
	{Name: "keywords zeroed", Do: func(f *damage.File) { f.Fill(25, 300, 0) }},
	{Name: "UIDLAST too low", Do: func(f *damage.File) { f.Set(uidLastOff, []byte("00000003")) }},
	{Name: "UID of the message before", Do: func(f *damage.File) {
		k := 1 + f.Rand(len(f.Msgs)-1)
		f.Set(f.Msgs[k].Text-10, bytes.Clone(f.Octets[f.Msgs[k-1].Text-10:f.Msgs[k-1].Text-2]))
	}},
	{Name: "two files joined", Do: func(f *damage.File) { f.Copy(0, len(f.Octets), len(f.Octets)) }},
}

func TestDamage(t *testing.T) {
	all := texts(t)
	classes := slices.Concat(damage.Classes, damage.LineEnds, own)
	var sum score
	for n, c := range classes {
		var s score
		for k := range *tries {
			s.add(damageOnce(t, all, c, uint64(n*1000+k)))
		}
		t.Logf("%-34s %v", c.Name, s)
		sum.add(s)
	}
	t.Logf("%-34s %v", "all", sum)
	if sum.back*1000 < sum.intact*998 || sum.invented*1000 > sum.intact {
		t.Errorf("got %v; want 99.8%% of the intact messages, and less than 0.1%% invented", sum)
	}
}

// A score counts messages.
type score struct {
	intact, back     int // those that are physically intact, and those that came back
	lines, meta      int // those whose line is, too, and those whose metadata came back
	invented, failed int
}

func (s *score) add(o score) {
	s.intact += o.intact
	s.back += o.back
	s.lines += o.lines
	s.meta += o.meta
	s.invented += o.invented
	s.failed += o.failed
}

func (s score) String() string {
	return fmt.Sprintf("intact %d/%d, with UID, flags, date %d/%d, invented %d, failed %d", s.back, s.intact, s.meta, s.lines, s.invented, s.failed)
}

// restorable are the classes in which line ends come back as they were.
var restorable = map[string]bool{"editor: all lines end in LF": true, "editor: CR doubled": true, "editor: one message in LF": true}

func damageOnce(t *testing.T, all []string, c damage.Class, seed uint64) (s score) {
	octets, msgs, truths := makeMailbox(all, 6+int(seed%9), seed)
	f := damage.New(octets, msgs, seed)
	c.Do(f)
	w := newWorld(t)
	n := w.file("box", f.Octets)
	bad := func(format string, args ...any) {
		t.Errorf("%s, seed %d: %s", c.Name, seed, fmt.Sprintf(format, args...))
	}
	readable := w.plainly(n)
	_, _, err := w.repairAll(n, mailbox.RepairOptions{})
	if errors.Is(err, mailbox.ErrFormat) && !slices.ContainsFunc(f.From, func(from int32) bool { return int(from) == msgs[0].Line || int(from) == msgs[1].Line }) {
		return s // nothing is left by which it could be known
	}
	if err != nil {
		bad("%v", err)
		s.failed++
		return s
	}
	if in, _ := w.inspectAll(n); !in.Sound() {
		bad("not sound afterwards")
		s.failed++
	}
	got := w.tellAll(n)
	after := w.read(n)
	if again, _, err := w.repairAll(n, mailbox.RepairOptions{}); err != nil || again.Needed() || !bytes.Equal(after, w.read(n)) {
		bad("a second repair finds something: %v", err)
		s.failed++
	}
	var sums []string
	for _, m := range got {
		sums = append(sums, m.sum)
	}
	for k, want := range truths { // what a reader makes of a wrong size is no message
		if !f.Gone(k) && slices.Contains(readable, want.sum) && !slices.Contains(sums, want.sum) {
			bad("a message that could be read before is lost")
		}
	}
	at := 0
	for k, want := range truths {
		if f.Gone(k) {
			continue
		}
		left := f.Left(k)
		if c.Name == "sectors swapped" && !f.InPlace(k) {
			continue // it stands within another message, or in the file block
		}
		if restorable[c.Name] {
			left = damage.Left{Text: f.Restorable(k), Line: true}
		}
		if !left.Text {
			continue
		}
		s.intact++
		i := slices.Index(sums[at:], want.sum)
		if i < 0 {
			t.Logf("%s, seed %d: message %d is lost", c.Name, seed, k+1)
			continue
		}
		s.back++
		at += i + 1
		if left.Line {
			s.lines++
			if got[at-1] == want.told {
				s.meta++
			}
		}
	}
	known := len(truths)
	if c.Name == "two files joined" {
		known *= 2
	}
	if len(got) > known {
		s.invented += len(got) - known
		t.Logf("%s, seed %d: %d messages of %d", c.Name, seed, len(got), known)
	}
	return s
}

// plainly are the messages that a plain reader sees, up to the first damage.
func (w *world) plainly(n mailbox.Name) (out []string) {
	b := w.read(n)
	if !isMbx(b) {
		return nil
	}
	s := newScanner(bytes.NewReader(b), blockSize, int64(len(b)))
	for {
		r, ok, err := s.next()
		if ok && r.flags&bitExpunged == 0 {
			err = s.readDate(&r, w.now.Location())
		}
		if err != nil || !ok {
			if err != nil && len(out) > 0 { // it may have swallowed another
				out = out[:len(out)-1]
			}
			return out
		}
		if r.flags&bitExpunged == 0 {
			sum := sha256.Sum256(b[r.text():r.end()])
			out = append(out, hex.EncodeToString(sum[:]))
		}
	}
}
