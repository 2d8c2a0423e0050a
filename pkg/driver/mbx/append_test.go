package mbx

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
)

// deliver appends items to n.
func (w *world) deliver(n mailbox.Name, o mailbox.AppendOptions, items ...mailbox.Item) mailbox.Altered {
	w.t.Helper()
	d, err := w.Append(context.Background(), n, o)
	if err != nil {
		w.t.Fatal(err)
	}
	var sum mailbox.Altered
	for _, it := range items {
		a, err := d.Add(it)
		if err != nil {
			w.t.Fatal(err)
		}
		sum = sum.Plus(a)
	}
	if _, err := d.Commit(); err != nil {
		w.t.Fatal(err)
	}
	return sum
}

// item is a message of the given text.
func item(text string) mailbox.Item {
	return mailbox.Item{Message: mailbox.Message{Size: int64(len(text))}, Text: strings.NewReader(text)}
}

// copyOf returns the messages of a golden file as items.
func (w *world) copyOf(file string) (items []mailbox.Item, validity uint32) {
	w.t.Helper()
	n := w.golden(file)
	b := w.open(n, mailbox.ReadOnly)
	for m := range b.Messages(mailbox.All) {
		c, err := b.Open(m.Seq)
		if err != nil {
			w.t.Fatal(err)
		}
		var text strings.Builder
		if _, err := c.WriteTo(&text); err != nil {
			w.t.Fatal(err)
		}
		it := item(text.String())
		it.Date, it.Flags, it.UID = m.Date, m.Flags, m.UID
		items = append(items, it)
	}
	return items, b.Status().UIDValidity
}

func (w *world) compare(n mailbox.Name, golden string) {
	w.t.Helper()
	want, err := os.ReadFile(filepath.Join(testdata, golden))
	if err != nil {
		w.t.Fatal(err)
	}
	got := w.read(n)
	for i := 0; i < len(got) || i < len(want); i++ {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			w.t.Fatalf("%s: octet %d differs\n got %.200q\nwant %.200q", golden, i, got[min(i, len(got)):], want[min(i, len(want)):])
		}
	}
}

// TestWriteLikeTheOriginal makes mailboxes that the original made, by every
// way to make them.
func TestWriteLikeTheOriginal(t *testing.T) {
	for _, golden := range []string{"mailutil-copy", "append-uid0"} {
		for _, how := range []string{"append", "new", "unknown sizes", "one by one"} {
			t.Run(golden+"/"+how, func(t *testing.T) { rebuild(t, golden, how) })
		}
	}
}

func rebuild(t *testing.T, golden, how string) {
	w := newWorld(t)
	items, validity := w.copyOf("mbx/" + golden + ".mbx")
	w.now = time.Unix(int64(validity), 0).UTC()
	n := w.name("box")
	if how != "new" {
		if err := w.Create(context.Background(), n); err != nil {
			t.Fatal(err)
		}
		w.file("empty", w.read(n)) // and every octet of the empty one
		fi, _ := os.Stat(n.Path)
		if fi.Mode().Perm() != 0o600 {
			t.Errorf("mode: got %v", fi.Mode())
		}
	}
	switch how {
	case "one by one":
		for _, it := range items {
			w.deliver(n, mailbox.AppendOptions{}, it)
		}
	case "unknown sizes":
		for i := range items {
			items[i].Size = -1
		}
		fallthrough
	default:
		w.deliver(n, mailbox.AppendOptions{New: how == "new"}, items...)
	}
	w.compare(n, "mbx/"+golden+".mbx")
	if golden == "mailutil-copy" {
		w.open(n, mailbox.ReadWrite)
		w.compare(n, "mbx/mailutil-copy-opened.mbx")
	}
}

func TestAppendNow(t *testing.T) {
	w := newWorld(t)
	items, validity := w.copyOf("mbx/now-date.mbx")
	w.now = time.Unix(int64(validity), 0).In(time.FixedZone("", -(3*60+30)*60))
	items[0].Date = mailbox.Date{}
	n := w.name("box")
	w.deliver(n, mailbox.AppendOptions{New: true}, items...)
	w.compare(n, "mbx/now-date.mbx")

	w.now = time.Date(2024, 3, 5, 1, 2, 3, 0, time.UTC)
	w.deliver(n, mailbox.AppendOptions{}, item("X: y\r\n\r\n"))
	if got := string(w.read(n)); !strings.Contains(got, "05-Mar-2024 01:02:03 +0000,8;") {
		t.Errorf("the day of now is not padded with a zero: %q", got[2200:])
	}
}

func TestAppendKeepsUIDs(t *testing.T) {
	w := newWorld(t)
	items, _ := w.copyOf("mbx/uid-gaps.mbx")
	n := w.name("box")
	w.deliver(n, mailbox.AppendOptions{New: true, UIDValidity: 77}, items...)
	b := w.open(n, mailbox.ReadWrite)
	if st := b.Status(); st.UIDValidity != 77 || st.UIDNext != 6 || b.index[1].uid != 4 {
		t.Errorf("got %+v, %+v", st, b.index)
	}
}

func TestAppendKeywords(t *testing.T) {
	w := newWorld(t)
	w.env.Config.Keywords = []string{"Default"}
	n := w.name("box")
	it := func(bits uint64) mailbox.Item {
		it := item("A: b\r\n\r\nc\r\n")
		it.Flags.Keywords = bits
		return it
	}
	w.deliver(n, mailbox.AppendOptions{New: true, Keywords: []string{"Borne", "", "default"}}, it(0b101))
	w.deliver(n, mailbox.AppendOptions{Keywords: []string{"x(y", "BORNE", "Later"}}, it(0b110), it(0b010))
	if a := w.deliver(n, mailbox.AppendOptions{Keywords: []string{"x(y"}}, it(1)); a.Keywords != 1 {
		t.Errorf("a keyword that cannot be: got %+v", a)
	}
	w.deliver(n, mailbox.AppendOptions{Keywords: []string{"All"}}, it(0))
	b := w.open(n, mailbox.ReadOnly)
	var got []string
	for m := range b.Messages(mailbox.All) {
		got = append(got, strings.Join(m.Flags.Names(b.Status().Keywords), " "))
	}
	if s := strings.Join(b.Status().Keywords, ","); s != "Default,Borne,Later,All" {
		t.Errorf("keywords: got %s", s)
	}
	if s := strings.Join(got, "|"); s != `\Recent Default Borne|\Recent Borne Later|\Recent Borne|\Recent|\Recent` {
		t.Errorf("got %s", s)
	}
}

func TestAppendRefuses(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	n := w.golden("mbx/flags.mbx")
	before := string(w.read(n))
	for name, tt := range map[string]struct {
		it   mailbox.Item
		want string
	}{
		"empty":   {item(""), "Append of zero-length message"},
		"longer":  {mailbox.Item{Message: mailbox.Message{Size: 3}, Text: strings.NewReader("abcd")}, "longer than its size"},
		"shorter": {mailbox.Item{Message: mailbox.Message{Size: 9}, Text: strings.NewReader("abcd")}, "5 octets shorter"},
	} {
		d, err := w.Append(ctx, n, mailbox.AppendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Add(item("good\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, err = d.Add(tt.it); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
		if err := d.Abort(); err != nil {
			t.Error(err)
		}
		if string(w.read(n)) != before {
			t.Errorf("%s: the file changed", name)
		}
	}
	_, err := w.Append(ctx, w.name("none"), mailbox.AppendOptions{})
	if !errors.Is(err, mailbox.ErrNotExist) || err.Error() != "[TRYCREATE] Must create mailbox before append" {
		t.Errorf("missing mailbox: got %v", err)
	}
	_, err = w.Append(ctx, w.file("text", []byte(before[1:])), mailbox.AppendOptions{})
	if !errors.Is(err, mailbox.ErrFormat) || err.Error() != "Not a MBX-format mailbox: text" {
		t.Errorf("not a mailbox: got %v", err)
	}
	if _, err = w.Append(ctx, n, mailbox.AppendOptions{New: true}); !errors.Is(err, mailbox.ErrExist) {
		t.Errorf("new where one is: got %v", err)
	}
	if err := w.Create(ctx, n); !errors.Is(err, mailbox.ErrExist) {
		t.Errorf("create where one is: got %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(w.home, ".*"))
	if len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}

// TestAppendLeavesAlone: where the end is torn, and messages may be in what would
// have to go, nothing is added and nothing is changed.
func TestAppendLeavesAlone(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mbx-corrupt/torn-append-then-appends.mbx")
	before := string(w.read(n)) + "torn"
	if err := os.WriteFile(n.Path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := w.Append(context.Background(), n, mailbox.AppendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Abort()
	if _, err := d.Add(item("A: b\r\n\r\nnew\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err = d.Commit(); !errors.Is(err, mailbox.ErrCorrupt) || !strings.Contains(err.Error(), "mailutil repair") {
		t.Fatalf("got %v, want an ErrCorrupt that advises", err)
	}
	if string(w.read(n)) != before {
		t.Error("the file changed")
	}
}

// TestAppendHeals appends behind torn tails: nothing of them is lost, and the
// new mail can be read.
func TestAppendHeals(t *testing.T) {
	for file, want := range map[string]struct{ off, messages int }{
		"crlf-garbage-tail.mbx": {9819, 9}, "crlf-zero-tail.mbx": {9819, 9}, "crlf-short-tail.mbx": {9819, 9},
		"crlf-lf-tail.mbx": {9819, 9}, "truncated-body.mbx": {9604, 8}, "header-at-eof.mbx": {9819, 9},
		"truncated-mid.mbx": {7328, 6}, "read-header-negsize.mbx": {9604, 8},
		// Whole messages are behind the damage: what is added is as safe as they
		// are, and a delivery does not look further.
		"torn-append-then-appends.mbx": {}, "size-huge-mid.mbx": {}, "header-zeroed.mbx": {}, "concatenated.mbx": {},
	} {
		t.Run(file, func(t *testing.T) {
			w := newWorld(t)
			n := w.golden("mbx-corrupt/" + file)
			before := string(w.read(n))
			d, err := w.Append(context.Background(), n, mailbox.AppendOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Abort()
			if _, err := d.Add(item("A: b\r\n\r\nnew\r\n")); err != nil {
				t.Fatal(err)
			}
			_, err = d.Commit()
			if err != nil {
				t.Fatal(err)
			}
			if want.off == 0 {
				after, ok := strings.CutPrefix(string(w.read(n)), before)
				if _, text, _ := strings.Cut(after, "\r\n"); !ok || text != "A: b\r\n\r\nnew\r\n" {
					t.Errorf("behind the old octets, which must stay: %q", after)
				}
				return
			}
			if lost := string(w.read(w.name(file + ".lost"))); lost != before[want.off:] {
				t.Errorf("lost: got %q, want %q", lost, before[want.off:])
			}
			if got := w.open(n, mailbox.ReadOnly).Status().Messages; int(got) != want.messages {
				t.Errorf("got %d messages, want %d", got, want.messages)
			}
			if len(w.heard) != 1 {
				t.Errorf("said %q, want one sentence", w.heard)
			}
		})
	}
}
