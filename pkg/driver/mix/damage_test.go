package mix

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/internal/mend/damage"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

var tries = flag.Int("damages", 3, "how many mailboxes each class of damage is tried on")

// texts are of real mail: of the golden mbx files, and of the large collection
// where that is there; and a mail that has a piece of a mix mailbox in it.
func texts(t testing.TB) (out []string) {
	t.Helper()
	files, _ := filepath.Glob("../../../testdata/mbx/*.mbx")
	more, _ := filepath.Glob("../../../../shared/corpora/derived-by-cclient/*.mbx")
	for _, file := range append(files, more...) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for at, n := 2048, 0; at < len(b) && n < 60; n++ {
			line, _, _ := bytes.Cut(b[at:], crlf)
			_, size, _ := strings.Cut(string(line), ",")
			size, _, _ = strings.Cut(size, ";")
			length, err := strconv.Atoi(size)
			if at += len(line) + 2; err != nil || at+length > len(b) {
				break
			}
			if length > 0 && length < 20<<10 {
				out = append(out, string(b[at:at+length]))
			}
			at += length
		}
	}
	if len(out) < 20 {
		t.Fatalf("got %d texts", len(out))
	}
	return append(out, "Subject: forwarded\r\n\r\nHere it is:\r\n:msg:00000007:20240102030405+0100:00000013:\r\nSubject: x\r\n\r\nabc\r\n"+
		":msg:00000009:20240102030405+0100:00000013:\r\nSubject: y\r\n\r\nabc\r\nThat was it.\r\n")
}

// A truth is a message of a made-up mailbox.
type truth struct {
	seen
	file, at int // its data file, and which message of that it is; -1 for removed ones
	dead     bool
}

// A wreck is a mailbox that is broken.
type wreck struct {
	data   []*damage.File
	names  []string // of the data files
	index  *damage.File
	status *damage.File
	meta   *damage.File
	gone   map[string]bool
	more   map[string][]byte // other files
	truths []truth
	rnd    *rand.Rand
}

// firstFile is the number of the first data file of a made-up mailbox, and its
// UIDVALIDITY.
const madeFile = 0x6b03b909

// makeWreck makes a mailbox of about n of the texts, as the original would have
// written it: some messages were removed while others had it open.
func makeWreck(all []string, n int, seed uint64) *wreck {
	w := &wreck{rnd: rand.New(rand.NewPCG(seed, 5)), gone: map[string]bool{}, more: map[string][]byte{}}
	var data [2][]byte
	var extents [2][]damage.Message
	var records, flags []damage.Message
	seq := uint32(madeFile + 100)
	index, status := appendSeq(nil, seq), appendSeq(nil, seq)
	names := []string{"Work", "Home"}
	uid := uint32(0)
	for i := range n {
		uid += 1 + w.rnd.Uint32N(3)*w.rnd.Uint32N(2)
		text := fmt.Sprintf("X-Unique: %d.%d@x\r\n", seed, i) + all[w.rnd.IntN(len(all))]
		f := 2 * i / n
		m := message{
			uid: uid, file: madeFile + uint32(f), pos: int64(len(data[f])), size: int64(len(text)), lead: tokenLen,
			date:     mailbox.Date{Year: 2001 + uint16(i), Month: uint8(1 + w.rnd.IntN(12)), Day: uint8(1 + w.rnd.IntN(28)), Hour: uint8(w.rnd.IntN(24)), Zone: 60},
			keywords: w.rnd.Uint32N(4), flags: bitOld | uint16(w.rnd.UintN(16)), modseq: seq - uint32(n-i),
		}
		var end headerEnd
		end.Write([]byte(text))
		m.header = end.size()
		data[f] = append(appendToken(data[f], &m), text...)
		sum := sha256.Sum256([]byte(text))
		what := truth{file: f, at: len(extents[f]), dead: i%7 == 3}
		what.seen = seen{hex.EncodeToString(sum[:]), flagsOf(&m, names), m.date.Time().Format("2006-01-02T15:04:05-07:00"), uid}
		extents[f] = append(extents[f], damage.Message{Line: int(m.pos), Text: int(m.text()), End: int(m.end())})
		w.truths = append(w.truths, what)
		if what.dead {
			continue
		}
		at := len(index)
		index = appendIndex(index, &m)
		records = append(records, damage.Message{Line: at, Text: len(index) - 2, End: len(index)})
		at = len(status)
		status = appendStatus(status, m.record())
		flags = append(flags, damage.Message{Line: at, Text: len(status) - 2, End: len(status)})
	}
	m := meta{seq: seq - 1, validity: madeFile, uidLast: uid, newFile: madeFile + 1, keywords: names}
	w.meta = damage.New(m.print(), []damage.Message{{Line: 0, Text: seqLen - 2, End: seqLen}}, seed)
	w.index, w.status = damage.New(index, records, seed), damage.New(status, flags, seed)
	for f := range data {
		w.names = append(w.names, dataName(madeFile+uint32(f)))
		w.data = append(w.data, damage.New(data[f], extents[f], seed))
	}
	return w
}

func flagsOf(m *message, names []string) string {
	f := mailbox.Flags{System: sysbits.Flags(m.flags)}.Names(nil)
	slices.Sort(f)
	return strings.Join(append(f, mailbox.Flags{Keywords: uint64(m.keywords)}.Names(names)...), " ")
}

// write writes the mailbox to dir.
func (w *wreck) write(t *testing.T, dir string) {
	t.Helper()
	files := map[string][]byte{metaName: w.meta.Octets, indexName: w.index.Octets, statusName: w.status.Octets}
	for k, name := range w.names {
		files[name] = w.data[k].Octets
	}
	for name, b := range w.more {
		files[name] = b
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if !w.gone[name] {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A kind of damage to a mailbox.
type breakage struct {
	name string
	do   func(w *wreck)
}

// anyData chooses a data file.
func (w *wreck) anyData() *damage.File { return w.data[w.rnd.IntN(len(w.data))] }

// forLists are kinds of damage to index or status.
var forLists = []damage.Class{
	{Name: "record lost", Do: func(f *damage.File) { m := f.Msgs[1+f.Rand(len(f.Msgs)-2)]; f.Cut(m.Line, m.End-m.Line) }},
	{Name: "records lost at the end", Do: func(f *damage.File) { f.Cut(f.Msgs[len(f.Msgs)-2].Line, len(f.Octets)) }},
	{Name: "record doubled", Do: func(f *damage.File) { m := f.Msgs[f.Rand(len(f.Msgs))]; f.Copy(m.Line, m.End, m.End) }},
	{Name: "records swapped", Do: func(f *damage.File) {
		m := f.Msgs[f.Rand(len(f.Msgs)-1)]
		f.Copy(m.Line, m.End, m.End+m.End-m.Line)
		f.Cut(m.Line, m.End-m.Line)
	}},
	{Name: "sequence lost", Do: func(f *damage.File) { f.Cut(0, seqLen) }},
	{Name: "sequence damaged", Do: func(f *damage.File) { f.Set(f.Rand(9), []byte{'x'}) }},
	{Name: "emptied", Do: func(f *damage.File) { f.Cut(0, len(f.Octets)) }},
	{Name: "all NULs", Do: func(f *damage.File) { f.Fill(0, len(f.Octets), 0) }},
	{Name: "torn", Do: func(f *damage.File) { f.Cut(f.Msgs[len(f.Msgs)-1].Line+1+f.Rand(30), len(f.Octets)) }},
}

// whole are kinds of damage to more than one file.
var whole = []breakage{
	{"meta missing", func(w *wreck) { w.gone[metaName] = true }},
	{"index missing", func(w *wreck) { w.gone[indexName] = true }},
	{"status missing", func(w *wreck) { w.gone[statusName] = true }},
	{"index and status missing", func(w *wreck) { w.gone[indexName], w.gone[statusName] = true, true }},
	{"meta and index missing", func(w *wreck) { w.gone[metaName], w.gone[indexName] = true, true }},
	{"all but data missing", func(w *wreck) { w.gone[metaName], w.gone[indexName], w.gone[statusName] = true, true, true }},
	{"data file missing", func(w *wreck) { w.gone[w.names[w.rnd.IntN(2)]] = true }},
	{"data file emptied", func(w *wreck) { f := w.anyData(); f.Cut(0, len(f.Octets)) }},
	{"data file with another number", func(w *wreck) { w.names[w.rnd.IntN(2)] = ".mix6b03c000" }},
	{"data files with each other's numbers", func(w *wreck) { w.names[0], w.names[1] = w.names[1], w.names[0] }},
	{"copy of a data file", func(w *wreck) { w.more[".mix6b03c000"] = w.data[0].Octets }},
	{"index of before the last messages came", func(w *wreck) {
		f := w.index
		f.Cut(f.Msgs[len(f.Msgs)-4].Line, len(f.Octets))
		w.status.Cut(w.status.Msgs[len(f.Msgs)-4].Line, len(w.status.Octets))
		f.Set(0, appendSeq(nil, madeFile+50))
		w.status.Set(0, appendSeq(nil, madeFile+50))
	}},
	{"all files in LF", func(w *wreck) {
		for _, f := range []*damage.File{w.meta, w.index, w.status, w.data[0], w.data[1]} {
			damage.LineEnds[0].Do(f)
		}
	}},
	{"CR doubled in all files", func(w *wreck) {
		for _, f := range []*damage.File{w.meta, w.index, w.status, w.data[0], w.data[1]} {
			damage.LineEnds[1].Do(f)
		}
	}},
	{"bits flipped in all files", func(w *wreck) {
		for _, f := range []*damage.File{w.meta, w.index, w.status, w.data[0], w.data[1]} {
			damage.Classes[0].Do(f)
		}
	}},
	{"index missing, a line in front damaged", func(w *wreck) { w.gone[indexName] = true; damage.Classes[3].Do(w.anyData()) }},
	{"index missing, a line in front wiped", func(w *wreck) { w.gone[indexName] = true; damage.Classes[8].Do(w.anyData()) }},
	{"index missing, data in LF", func(w *wreck) { w.gone[indexName] = true; damage.LineEnds[0].Do(w.anyData()) }},
	{"index missing, octet lost in a text", func(w *wreck) { w.gone[indexName] = true; damage.Classes[13].Do(w.anyData()) }},
	{"message and its record lost", func(w *wreck) {
		k := w.rnd.IntN(3)
		f := w.data[0]
		m := f.Msgs[k]
		f.Cut(m.Line, m.End-m.Line)
		r := w.index.Msgs[0]
		w.index.Cut(r.Line, r.End-r.Line)
	}},
	{"UID of the message before in the index", func(w *wreck) { sameUID(w.index, 1+w.rnd.IntN(len(w.index.Msgs)-1), 1) }},
	{"UID of the message before in a data file", func(w *wreck) { sameUID(w.data[0], 1+w.rnd.IntN(len(w.data[0].Msgs)-1), len(token)) }},
	{"UID of the message before in both", func(w *wreck) {
		for k := 1; k < 3; k++ { // one of them is not removed
			sameUID(w.data[0], k, len(token))
			sameUID(w.index, k, 1)
		}
	}},
	{"status of messages that are not there", func(w *wreck) {
		w.status.Insert(len(w.status.Octets), appendStatus(nil, status{uid: 900, flags: bitDeleted, modseq: 1}))
		w.status.Insert(seqLen, appendStatus(nil, status{uid: 901, flags: bitDeleted, modseq: 1}))
	}},
	{"removal interrupted before the index", func(w *wreck) {
		for _, c := range damage.Classes {
			if c.Name == "compaction interrupted" {
				c.Do(w.data[0])
			}
		}
	}},
	{"index written half", func(w *wreck) { // by the original, when the first messages were removed
		f := w.index
		k := 1 + w.rnd.IntN(3)
		b := bytes.Clone(f.Octets[f.Msgs[k].Line:f.Msgs[k+4].End])
		f.Set(f.Msgs[0].Line, b)
	}},
	{"meta: a bit flipped", func(w *wreck) { damage.Classes[0].Do(w.meta) }},
	{"meta: a line lost", func(w *wreck) { w.meta.Cut(seqLen*w.rnd.IntN(4), seqLen) }},
	{"meta: emptied", func(w *wreck) { w.meta.Cut(0, len(w.meta.Octets)) }},
	{"meta: torn", func(w *wreck) { w.meta.Cut(1+w.rnd.IntN(len(w.meta.Octets)-1), len(w.meta.Octets)) }},
	{"meta: all NULs", func(w *wreck) { w.meta.Fill(0, len(w.meta.Octets), 0) }},
	{"meta: octet added", func(w *wreck) { w.meta.Insert(1+w.rnd.IntN(len(w.meta.Octets)-1), []byte("x")) }},
	{"meta: octet lost", func(w *wreck) { w.meta.Cut(w.rnd.IntN(len(w.meta.Octets)), 1) }},
	{"meta: keywords have no end", func(w *wreck) { w.meta.Cut(len(w.meta.Octets)-2, 2) }},
	{"meta: UIDLAST too low", func(w *wreck) { w.meta.Set(2*seqLen, []byte("L00000003")) }},
	{"meta: garbage behind", func(w *wreck) { w.meta.Insert(len(w.meta.Octets), []byte("garbage")) }},
}

// sameUID gives message or record k the UID of the one before it; at is where it
// is in the line.
func sameUID(f *damage.File, k, at int) {
	old := f.Msgs[k-1].Line + at
	f.Set(f.Msgs[k].Line+at, bytes.Clone(f.Octets[old:old+8]))
}

// breakages are all kinds of damage.
func breakages() (out []breakage) {
	on := func(what string, f func(w *wreck) *damage.File, classes ...damage.Class) {
		for _, c := range classes {
			out = append(out, breakage{what + ": " + c.Name, func(w *wreck) { c.Do(f(w)) }})
		}
	}
	on("data", (*wreck).anyData, damage.Classes...)
	on("data", (*wreck).anyData, damage.LineEnds...)
	on("data", (*wreck).anyData, damage.Pages...)
	index, status := func(w *wreck) *damage.File { return w.index }, func(w *wreck) *damage.File { return w.status }
	lines := slices.DeleteFunc(slices.Clone(damage.Classes), func(c damage.Class) bool {
		return strings.Contains(c.Name, "text") || strings.Contains(c.Name, "compaction") || strings.Contains(c.Name, "messages doubled")
	})
	on("index", index, lines...)
	on("index", index, damage.LineEnds[:2]...)
	on("index", index, forLists...)
	on("status", status, lines...)
	on("status", status, damage.LineEnds[:2]...)
	on("status", status, forLists...)
	return append(out, whole...)
}

// A score counts messages.
type score struct {
	intact, back    int // those whose text is physically intact, and those that came back
	named, same     int // those whose UID and date can be read somewhere, too, and those that have them
	flagged, worn   int // the same for flags and keywords
	invented, risen int // texts that nobody wrote or that are there twice; removed messages that came back
	failed          int
}

func (s *score) add(o score) {
	s.intact, s.back = s.intact+o.intact, s.back+o.back
	s.named, s.same = s.named+o.named, s.same+o.same
	s.flagged, s.worn = s.flagged+o.flagged, s.worn+o.worn
	s.invented, s.risen, s.failed = s.invented+o.invented, s.risen+o.risen, s.failed+o.failed
}

func (s score) String() string {
	return fmt.Sprintf("intact %d/%d, UID and date %d/%d, flags %d/%d, invented %d, risen %d, failed %d",
		s.back, s.intact, s.same, s.named, s.worn, s.flagged, s.invented, s.risen, s.failed)
}

// TestDamage breaks mailboxes of real mail, and such of which most messages have
// pieces of a mix mailbox in their text.
func TestDamage(t *testing.T) {
	all := texts(t)
	within := all[len(all)-1]
	for _, c := range []struct {
		name  string
		texts []string
		least int // messages of a thousand that must come back
		more  int // of a thousand that may be invented
	}{
		{"real mail", all, 999, 0},
		{"mailboxes in mail", append(all[:5:5], within, within), 998, 1}, // without the index nobody knows
	} {
		t.Run(c.name, func(t *testing.T) { damageAll(t, c.texts, c.least, c.more) })
	}
}

func damageAll(t *testing.T, all []string, least, more int) {
	var sum score
	classes := breakages()
	for n, c := range classes {
		var s score
		tried := *tries
		if testing.Short() {
			tried = 1
		}
		for k := range tried {
			s.add(breakOnce(t, all, c, damage.Seed(n, k)))
		}
		t.Logf("%-45s %v", c.name, s)
		sum.add(s)
	}
	t.Logf("%d classes: %v", len(classes), sum)
	if sum.back*1000 < sum.intact*least || sum.same*1000 < sum.named*least || sum.invented*1000 > sum.intact*more || sum.failed > 0 {
		t.Errorf("got %v; want %d of 1,000 of the intact messages, and no more than %d invented", sum, least, more)
	}
}

func breakOnce(t *testing.T, all []string, c breakage, seed uint64) (s score) {
	k := makeWreck(all, 22+int(seed%7), seed)
	c.do(k)
	w := newWorld(t)
	w.FS = fsxtest.Unsynced{}
	n := w.name("box")
	k.write(t, n.Path)
	bad := func(format string, args ...any) {
		t.Errorf("%s, seed %d: %s", c.name, seed, fmt.Sprintf(format, args...))
		s.failed++
	}
	readable := w.plainly(n)
	w.heard = nil
	r, _, err := w.repairAll(n, mailbox.RepairOptions{})
	if err != nil {
		bad("%v", err)
		return s
	}
	if testing.Verbose() && *tries == 1 {
		for st := range r.Steps() {
			t.Log(st)
		}
	}
	if in, found := w.inspectAll(n); !in.Sound() {
		bad("not sound afterwards: %v", found)
	}
	got := w.seeAll(n)
	after := snapshot(t, n.Path)
	if again, _, err := w.repairAll(n, mailbox.RepairOptions{}); err != nil || again.Needed() || snapshot(t, n.Path) != after {
		bad("a second repair finds something: %v", err)
	}
	bySum := map[string]seen{}
	for _, m := range got {
		if _, twice := bySum[m.sum]; twice {
			s.invented++
			t.Logf("%s, seed %d: UID %d is there twice", c.name, seed, m.uid)
		}
		bySum[m.sum] = m
	}
	return s.judge(t, k, c, seed, got, bySum, readable)
}

// judge compares what came back with what was there.
func (s score) judge(t *testing.T, k *wreck, c breakage, seed uint64, got []seen, bySum map[string]seen, readable []string) score {
	listed, alive, last := 0, 0, uint32(0)
	for _, m := range k.truths {
		f := k.data[m.file]
		there := !k.gone[k.names[m.file]]
		is, back := bySum[m.sum]
		if m.dead {
			if back {
				s.risen++
				t.Logf("%s, seed %d: UID %d was removed and is there again", c.name, seed, m.uid)
				alive++
			}
			continue
		}
		record := listed
		listed++
		alive++
		if f.Gone(m.at) {
			continue // it was being removed
		}
		if slices.Contains(readable, m.sum) && !back {
			t.Errorf("%s, seed %d: UID %d could be read before and is lost", c.name, seed, m.uid)
			s.failed++
		}
		left := f.Left(m.at)
		if strings.HasSuffix(c.name, "sectors swapped") && !f.InPlace(m.at) {
			continue // it stands within another message
		}
		if restores := strings.Contains(c.name, "LF") || strings.Contains(c.name, "CR doubled"); restores && !left.Text {
			left = damage.Left{Text: f.Restorable(m.at), Line: true}
		}
		if !there || !left.Text {
			continue
		}
		s.intact++
		if !back {
			t.Logf("%s, seed %d: UID %d is lost", c.name, seed, m.uid)
			continue
		}
		s.back++
		if is.uid <= last {
			t.Errorf("%s, seed %d: UID %d is out of order", c.name, seed, is.uid)
		}
		last = is.uid
		if left.Line || !k.gone[indexName] && k.index.Left(record).Line {
			s.named++
			if is.uid == m.uid && is.date == m.date {
				s.same++
			} else {
				t.Logf("%s, seed %d: got %v\nwant %v", c.name, seed, is, m.seen)
			}
		}
		if !k.gone[statusName] && k.status.Left(record).Line && is.uid == m.uid && !k.gone[metaName] && bytes.Contains(k.meta.Octets, []byte("\r\nKWork Home\r\n")) {
			s.flagged++
			if is.flags == m.flags {
				s.worn++
			} else {
				t.Logf("%s, seed %d: got flags %s, want %s", c.name, seed, is.flags, m.flags)
			}
		}
	}
	if len(got) > alive {
		s.invented += len(got) - alive
		t.Logf("%s, seed %d: %d messages of %d", c.name, seed, len(got), alive)
	}
	return s
}

// plainly are the texts that a plain reader gets, whose sizes are right.
func (w *world) plainly(n mailbox.Name) (out []string) {
	b, err := w.Open(ctx, n, mailbox.ReadOnly)
	if err != nil {
		return nil
	}
	defer b.Close()
	for m := range b.Messages(mailbox.All) {
		c, err := b.Open(m.Seq)
		if err != nil {
			continue
		}
		h := sha256.New()
		if _, err := c.WriteTo(h); err == nil {
			out = append(out, hex.EncodeToString(h.Sum(nil)))
		}
	}
	return out
}
