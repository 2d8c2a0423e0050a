package stream

import (
	"bytes"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// texts are what mbox has trouble with.
var texts = []string{
	"Subject: a\r\n\r\nFrom here on\r\n>From there\r\n>>From both\r\nend\r\n",
	"Subject: b\r\nContent-Length: 3\r\n\r\nFrom joe@example.com Mon Jan  1 10:00:00 2024\r\nX: y\r\n\r\nno end\r\n\r\n\r\n",
	"Subject: c\r\n\r\nno newline",
	"Subject: d\r\n\r\n>From at the start\r\n",
	"Subject: e\r\n\r\n",
	"Subject: f\r\n\r\n" + strings.Repeat("x", 300<<10) + "\r\nFrom behind a long line\r\n\r\n",
	"Subject: g\r\n\r\nbare \r CR\r\n\r\r\n",
}

// What is written in a dialect and read in it is what it was, unless it was
// said that it is not.
func TestDialects(t *testing.T) {
	for _, name := range Dialects()[:4] { // auto writes as the original
		d, ok := ParseDialect(name)
		if !ok {
			t.Fatalf("%s is no dialect", name)
		}
		env := mailboxtest.NewEnv(t)
		var out bytes.Buffer
		w := New(env, nil, &out)
		w.Dialect = d
		to, err := w.Append(ctx, stdin, mailbox.AppendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var altered []mailbox.Altered
		for _, text := range texts {
			a, err := to.Add(mailbox.Item{Message: mailbox.Message{Size: int64(len(text))}, Text: strings.NewReader(text)})
			if err != nil {
				t.Fatal(err)
			}
			altered = append(altered, a)
		}
		if _, err := to.Commit(); err != nil {
			t.Fatal(err)
		}
		r := New(env, bytes.NewReader(out.Bytes()), nil)
		r.Dialect = d
		got, err := read(open(t, r, stdin))
		if err != nil || len(got) != len(texts) {
			t.Fatalf("%s: got %d messages, %v; want %d", name, len(got), err, len(texts))
		}
		exact := 0
		for i, l := range got {
			if l.Size != int64(len(l.Text)) {
				t.Errorf("%s, message %d: Size is %d, the text has %d octets", name, i+1, l.Size, len(l.Text))
			}
			if l.Text == texts[i] {
				exact++
			} else if !altered[i].Any() {
				t.Errorf("%s, message %d: nothing was altered, but it is read as %.200q, not %.200q", name, i+1, l.Text, texts[i])
			}
		}
		if want := map[Dialect]int{mbox.MboxRD: 6, mbox.MboxCL2: 6, mbox.MboxCL: 4}[d]; exact < want {
			t.Errorf("%s: %d messages are what they were, want %d", name, exact, want)
		}
	}
}

// Without a dialect it is as ever: nothing is taken off.
func TestNoDialect(t *testing.T) {
	if _, ok := ParseDialect(""); ok {
		t.Error("no name is a dialect")
	}
	in := "From a@b Mon Jan  1 10:00:00 2024\nSubject: x\nContent-Length: 1\n\n>From here\n>>From there\n"
	got, err := read(open(t, New(mailboxtest.NewEnv(t), strings.NewReader(in), nil), stdin))
	if err != nil || len(got) != 1 || got[0].Text != "Subject: x\r\nContent-Length: 1\r\n\r\n>From here\r\n>>From there\r\n" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A Content-Length that leads nowhere is not believed.
func TestWrongLength(t *testing.T) {
	const sep = "From a@b Mon Jan  1 10:00:00 2024\n"
	for _, length := range []string{"2", "4711", "99999999999999999999", "x", "-1", ""} {
		in := sep + "Subject: x\nContent-Length: " + length + "\n\nFirst text.\n\n" + sep + "Subject: y\nContent-Length: 6\n\nFrom z\n\n"
		env := mailboxtest.NewEnv(t)
		d := New(env, strings.NewReader(in), nil)
		d.Dialect = mbox.MboxCL2
		got, err := read(open(t, d, stdin))
		if err != nil || len(got) != 2 || !strings.HasSuffix(got[0].Text, "\r\n\r\nFirst text.\r\n") || got[1].Text != "Subject: y\r\n\r\nFrom z" {
			t.Errorf("Content-Length %s: got %+v, %v", length, got, err)
		}
		for _, l := range got {
			if l.Size != int64(len(l.Text)) {
				t.Errorf("Content-Length %s: Size is %d, the text has %d octets", length, l.Size, len(l.Text))
			}
		}
	}
}

func TestGuess(t *testing.T) {
	const head = "From a@b Mon Jan  1 10:00:00 2024\nSubject: x\n"
	for _, tt := range []struct {
		in   string
		want Dialect
	}{
		{head + "\ntext\n", mbox.AsOriginal},
		{head + "\n>From here\n", mbox.MboxO},
		{head + "\n>From here\n>>From there\n", mbox.MboxRD},
		{head + "Content-Length: 5\n\ntext\n\n" + head + "Content-Length: 0\n\n", mbox.MboxCL2},
		{head + "Content-Length: 11\n\n>From here\n\n" + head + "Content-Length: 0\n\n", mbox.MboxCL},
		{head + "Content-Length: 5\n\ntext\n\n" + head + "\n>From here\n", mbox.MboxO},
	} {
		env := mailboxtest.NewEnv(t)
		var said []string
		env.Notify = func(_ mailbox.Level, text string) { said = append(said, text) }
		d := New(env, strings.NewReader(tt.in), nil)
		d.Dialect = mbox.Auto
		mb, err := d.Open(ctx, stdin, mailbox.ReadOnly)
		if err != nil {
			t.Fatal(err)
		}
		defer mb.Close()
		if got := mb.(*box).dialect; got != tt.want || len(said) != 1 || !strings.Contains(said[0], "read as "+tt.want.String()) {
			t.Errorf("%q\n got %v, %q\nwant %v", tt.in, got, said, tt.want)
		}
	}
}

// A plain file is ours where a dialect was asked for, and only there.
func TestPlainFile(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	n := mailbox.Name{Text: "box", Path: filepath.Join(env.Home, "box")}
	write(t, n.Path, []byte(threeLetters))
	d := New(env, nil, nil)
	if is, err := d.Probe(n); is || err != nil {
		t.Errorf("without a dialect: got %v, %v", is, err)
	}
	d.Dialect = mbox.MboxRD
	if is, err := d.Probe(n); !is || err != nil {
		t.Errorf("with a dialect: got %v, %v", is, err)
	}
	got, err := read(open(t, d, n))
	if err != nil || !slices.ContainsFunc(got, func(l letter) bool { return strings.Contains(l.Text, "\r\nFrom here") }) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// FuzzDialect reads octets in each dialect: texts have the size that is said,
// and nobody reads beyond the end.
func FuzzDialect(f *testing.F) {
	f.Add([]byte(threeLetters), uint8(1))
	f.Add([]byte("From a@b Mon Jan  1 10:00:00 2024\nContent-Length: 3\n\n>From a\n\nFrom a@b Mon Jan  1 10:00:00 2024\n\n"), uint8(3))
	env := &mailbox.Env{Now: fixedNow, Notify: func(mailbox.Level, string) {}}
	f.Fuzz(func(t *testing.T, octets []byte, dialect uint8) {
		d := New(env, bytes.NewReader(octets), io.Discard)
		d.Dialect = Dialect(int(dialect) % len(mbox.Dialects))
		mb, err := d.Open(ctx, stdin, mailbox.ReadOnly)
		if err != nil {
			return
		}
		defer mb.Close()
		got, err := read(mb)
		if err != nil {
			return
		}
		for i, l := range got {
			if l.Size != int64(len(l.Text)) {
				t.Errorf("dialect %d, message %d: Size is %d, the text has %d octets", d.Dialect, i+1, l.Size, len(l.Text))
			}
		}
	})
}
