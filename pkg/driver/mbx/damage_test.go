package mbx

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mend/damage"
	"mailutil/pkg/mailbox"
)

var tries = flag.Int("damages", 1, "how many mailboxes each class of damage is tried on")

// own are the kinds of damage of this format.
var own = []damage.Class{
	{Name: "block zeroed", Do: func(f *damage.File) { f.Fill(0, blockSize, 0) }},
	{Name: "block lost", Do: func(f *damage.File) { f.Cut(0, blockSize) }},
	{Name: "half of the block lost", Do: func(f *damage.File) { f.Cut(0, blockSize/2) }},
	{Name: "block a few octets shorter", Do: func(f *damage.File) { f.Cut(1000+f.Rand(1000), 1+f.Rand(9)) }},
	{Name: "block a few octets longer", Do: func(f *damage.File) { f.Insert(100+f.Rand(1900), make([]byte, 1+f.Rand(9))) }},
	{Name: "octets of the block changed", Do: func(f *damage.File) { f.Set(f.Rand(25), []byte{byte(f.Rand(256)), byte(f.Rand(256))}) }},
	{Name: "keywords zeroed", Do: func(f *damage.File) { f.Fill(25, 300, 0) }},
	{Name: "UIDLAST too low", Do: func(f *damage.File) { f.Set(uidLastOff, []byte("00000003")) }},
	{Name: "UID of the message before", Do: func(f *damage.File) {
		k := 1 + f.Rand(f.Own-1)
		f.Set(f.Msgs[k].Text-10, bytes.Clone(f.Octets[f.Msgs[k-1].Text-10:f.Msgs[k-1].Text-2]))
	}},
	{Name: "UID very high", Do: func(f *damage.File) { f.Set(f.Msgs[f.Rand(f.Own)].Text-10, []byte("7fffffff")) }},
	{Name: "UID 0", Do: func(f *damage.File) { f.Set(f.Msgs[f.Rand(f.Own)].Text-10, []byte("00000000")) }},
	{Name: "UIDs descend", Renumbers: true, Do: func(f *damage.File) {
		for k, m := range f.Msgs[:f.Own] {
			f.Set(m.Text-10, []byte{'0', '0', '0', '0', '0', '0', '3', byte('9' - k%10)})
		}
	}},
}

// bench has this format.
var bench = damage.Bench{
	At: func(t testing.TB, home string, fsys fsx.FS) (damage.Driver, mailbox.Name) {
		w := newWorld(t)
		w.env.Home, w.env.Dir, w.env.StateDir, w.home, w.FS = home, home, filepath.Join(home, "state"), home, fsys
		return w.Driver, w.name("box")
	},
	Index: func(t testing.TB, octets []byte) (out []damage.Message) {
		eachRecord(octets, func(r record) {
			out = append(out, damage.Message{Line: int(r.off), Text: int(r.text()), End: int(r.end())})
		})
		return out
	},
	Plain: func(t testing.TB, octets []byte) (out []string) {
		whole := eachRecord(octets, func(r record) {
			if r.flags&bitExpunged == 0 {
				out = append(out, string(octets[r.text():r.end()]))
			}
		})
		if !whole && len(out) > 0 { // the last one may have swallowed another
			out = out[:len(out)-1]
		}
		return out
	},
	Hides: func(b []byte) bool {
		at := lineEndingAt(b, len(b))
		if at < 0 {
			return false
		}
		l, fault := parseLine(b[at:])
		return fault == lineGood && l.flags&bitExpunged != 0
	},
	Sized: true, UIDs: true,
	More: slices.Concat(damage.LineEnds, damage.Sized, own),
}

// eachRecord calls do for each record up to the first that cannot be read; whole
// says that there is none.
func eachRecord(octets []byte, do func(record)) (whole bool) {
	if !isMbx(octets) || len(octets) < blockSize {
		return false
	}
	s := newScanner(bytes.NewReader(octets), blockSize, int64(len(octets)))
	for {
		r, ok, err := s.next()
		if err != nil || !ok {
			return err == nil
		}
		do(r)
	}
}

func TestDamage(t *testing.T) { bench.Run(t, *tries) }

// Whatever the octets, a repair gives a sound mailbox or says that it cannot,
// repairs nothing twice, and loses no message that readers had.
func FuzzRepair(f *testing.F) {
	files, _ := filepath.Glob(filepath.Join(testdata, "mbx-corrupt", "*.mbx"))
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := bench.Repair(t, b); err != nil && !errors.Is(err, mailbox.ErrFormat) {
			t.Fatal(err)
		}
	})
}
