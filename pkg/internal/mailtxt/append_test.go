package mailtxt

import (
	"context"
	"os"
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
	it := mailbox.Item{Message: mailbox.Message{Size: int64(len(text))}, Text: strings.NewReader(text)}
	it.Date = mailbox.Date{Year: 2001, Month: 7, Day: 4, Zone: -7 * 60}
	return it
}

// copyOf returns the messages of a golden file as items.
func (w *world) copyOf(base string) (items []mailbox.Item) {
	w.t.Helper()
	b := w.open(w.golden(base), mailbox.ReadOnly)
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
		it.Date, it.Flags = m.Date, m.Flags
		items = append(items, it)
	}
	return items
}

// compare wants the octets of a golden file.
func (w *world) compare(what string, n mailbox.Name, base string) {
	w.t.Helper()
	want, got := w.goldenFile(base), w.read(n)
	for i := 0; i < len(got) || i < len(want); i++ {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			w.t.Errorf("%s: %s: octet %d differs\n got %.200q\nwant %.200q", base, what, i, got[min(i, len(got)):], want[min(i, len(want)):])
			return
		}
	}
}

// TestWriteLikeTheOriginal makes every golden mailbox, by every way to make
// one; those that a session of the original had open after a session of ours.
func TestWriteLikeTheOriginal(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		for _, g := range readManifest(t, f).Files {
			for _, how := range []string{"append", "new", "unknown sizes", "one by one"} {
				w := newWorld(t, f)
				base := strings.TrimSuffix(g.File, "."+f.Name)
				items := w.copyOf(base)
				n := w.name("copy")
				w.make(n, how, items)
				if g.Recent == 0 {
					w.open(n, mailbox.ReadWrite)
				}
				w.compare(how, n, base)
			}
		}
	})
}

func (w *world) make(n mailbox.Name, how string, items []mailbox.Item) {
	w.t.Helper()
	if how != "new" {
		if err := w.Create(context.Background(), n); err != nil {
			w.t.Fatal(err)
		}
		if fi, err := os.Stat(n.Path); err != nil || fi.Mode().Perm() != 0o600 || fi.Size() != 0 {
			w.t.Errorf("created: got %v, %v", fi, err)
		}
	}
	o := mailbox.AppendOptions{New: how == "new", Keywords: []string{"work", "later", "$forwarded"}}
	switch how {
	case "one by one":
		for _, it := range items {
			w.deliver(n, o, it)
		}
		return
	case "unknown sizes":
		for i := range items {
			items[i].Size = -1
		}
	}
	if a := w.deliver(n, o, items...); a.Any() {
		w.t.Errorf("%s: altered %v", how, a)
	}
}

func TestAppendNow(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		w.now = time.Date(2024, 3, 5, 1, 2, 3, 0, time.FixedZone("", -(3*60+30)*60))
		now, odd := item("X: y\r\n\r\n"), item("X: y\r\n\r\n")
		now.Date = mailbox.Date{}
		odd.Date.Year = 3000
		n := w.name("box")
		if a := w.deliver(n, mailbox.AppendOptions{New: true}, now, odd); a != (mailbox.Altered{Dates: 1}) {
			t.Errorf("altered %+v", a)
		}
		size := map[string]string{"mtx": "8", "tenex": "6"}[f.Name]
		record := "05-Mar-2024 01:02:03 -0330," + size + ";000000000000" + f.EOL + strings.ReplaceAll("X: y\n\n", "\n", f.EOL)
		if got := string(w.read(n)); got != record+record {
			t.Errorf("got %q, want twice %q", got, record)
		}
	})
}

func TestAppendKeywords(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		n := w.name("box")
		it := item("X: y\r\n\r\n")
		it.Flags = mailbox.Flags{System: mailbox.Draft | mailbox.Deleted | mailbox.Recent, Keywords: 0b111}
		a := w.deliver(n, mailbox.AppendOptions{New: true, Keywords: []string{"$FORWARDED", "Unknown", "Work"}}, it)
		if a != (mailbox.Altered{Keywords: 1}) {
			t.Errorf("altered %+v", a)
		}
		if got := string(w.read(n)); !strings.Contains(got, ";500000000042"+f.EOL) {
			t.Errorf("got %q", got)
		}
	})
}

// TestAppendRefuses leaves what it does not know alone.
func TestAppendRefuses(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		n := w.file("box", []byte("From a@b Mon Jul  2 00:00:00 2001\n\nx\n"))
		want := "Not a " + f.Title + "-format mailbox: box"
		if _, err := w.Append(context.Background(), n, mailbox.AppendOptions{}); err == nil || err.Error() != want {
			t.Errorf("another format: got %v, want %s", err, want)
		}
		d, err := w.Append(context.Background(), w.golden("flags"), mailbox.AppendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Abort()
		for _, text := range []string{"", "\r\n"} {
			if _, err := d.Add(item(text)); (text == "") != (err != nil && err.Error() == "Append of zero-length message") {
				t.Errorf("append of %q: got %v", text, err)
			}
		}
	})
}

// TestHeal appends to mailboxes with torn and with damaged ends.
func TestHeal(t *testing.T) {
	const refused, behind = -1, -2
	each(t, func(t *testing.T, f Format) {
		for _, tt := range []struct {
			file   string
			kept   int    // messages; refused where nothing may be appended, behind where damage is further up
			behind string // what is behind the mailbox
		}{
			{"corrupt-trunc", 4, ""},
			{"corrupt-garbage-tail", 5, ""},
			{"corrupt-zero-tail", 5, ""},
			{"corrupt-no-comma", behind, ""},
			{"corrupt-sizeshort", behind, ""},
			{"corrupt-no-comma", refused, "torn"},
			{"corrupt-sizeshort", refused, "torn"},
			{"flags", 8, ""},
		} {
			w := newWorld(t, f)
			n := w.golden(tt.file)
			before := string(w.read(n)) + tt.behind
			if err := os.WriteFile(n.Path, []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
			d, err := w.Append(context.Background(), n, mailbox.AppendOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Add(item("A: new\r\n\r\n")); err != nil {
				t.Fatal(err)
			}
			_, err = d.Commit()
			if tt.kept == behind {
				after, same := strings.CutPrefix(string(w.read(n)), before)
				if err != nil || !same || !strings.HasSuffix(after, "A: new"+f.EOL+f.EOL) {
					t.Errorf("%s: got %v; behind the old octets, which must stay: %q", tt.file, err, after)
				}
				continue
			}
			if tt.kept == refused {
				if err == nil || !strings.Contains(err.Error(), "with messages behind the damage") || string(w.read(n)) != before {
					t.Errorf("%s: got %v, or the file changed", tt.file, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", tt.file, err)
				continue
			}
			b := w.open(n, mailbox.ReadOnly)
			if got := int(b.Status().Messages); got != tt.kept+1 {
				t.Errorf("%s: got %d messages, want %d", tt.file, got, tt.kept+1)
			}
			whole := before[:b.index[tt.kept].off]
			lost, _ := os.ReadFile(n.Path + ".lost")
			if string(lost) != before[len(whole):] || (len(lost) > 0) != (len(w.heard) == 1) {
				t.Errorf("%s: lost %q, said %q", tt.file, lost, w.heard)
			}
		}
	})
}

// TestCRs keeps CRs that end no line, though the original would drop them.
func TestCRs(t *testing.T) {
	w := newWorld(t, Tenex)
	n := w.name("box")
	text := "A: b\r\r\n\r\nx\ry\r\r\r\n\n\r"
	if a := w.deliver(n, mailbox.AppendOptions{New: true}, item(text)); a != (mailbox.Altered{LineEnds: 1}) {
		t.Errorf("altered %+v", a)
	}
	if got := string(w.read(n)); !strings.HasSuffix(got, ",17;000000000000\nA: b\r\r\n\nx\ry\r\r\r\n\n\r") {
		t.Errorf("got %q", got)
	}
	b := w.open(n, mailbox.ReadOnly)
	c, err := b.Open(1)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	if _, err := c.WriteTo(&got); err != nil || got.String() != strings.Replace(text, "\n\n", "\n\r\n", 1) {
		t.Errorf("read %q, %v", got.String(), err)
	}
}
