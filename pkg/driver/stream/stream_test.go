package stream

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"mailutil/pkg/driver/unix"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

var ctx = context.Background()

// stdin names the standard streams.
var stdin = mailbox.Name{Text: "-", Space: "stream"}

const threeLetters = "From a@example.com Mon Jul  2 00:00:00 2001\nSubject: one\nStatus: R\n\nText.\n\n" +
	"From b@example.com Mon Jul  2 00:00:01 2001\nSubject: two\n\n>From here\n\n" +
	"From c@example.com Mon Jul  2 00:00:02 2001 +0200\nSubject: three\n\nno newline"

// An archive keeps the contract of formats that cannot be written.
func TestContract(t *testing.T) {
	mailboxtest.Run(t, mailboxtest.Harness{
		New: func(t *testing.T) (mailbox.Driver, *mailbox.Env) {
			env := mailboxtest.NewEnv(t)
			return New(env, nil, nil), env
		},
		Foreign: threeLetters,
		Fixture: func(t *testing.T, env *mailbox.Env, n mailbox.Name) []string {
			write(t, n.Path, gzipped(t, threeLetters))
			return []string{
				"Subject: one\r\n\r\nText.\r\n", "Subject: two\r\n\r\n>From here\r\n", "Subject: three\r\n\r\nno newline",
			}
		},
	})
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func xzOf(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err == nil {
		_, err = io.WriteString(w, text)
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A letter is all that is known of a message.
type letter struct {
	mailbox.Message
	Sender, Text string
}

// read reads a mailbox, one message behind the other.
func read(mb mailbox.Mailbox) (out []letter, err error) {
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			return out, err
		}
		l := letter{Message: m}
		if l.Sender, err = mb.(mailbox.Enveloper).Sender(m.Seq); err != nil {
			return out, err
		}
		c, err := mb.Open(m.Seq)
		if err != nil {
			return out, err
		}
		b, err := io.ReadAll(c)
		if err != nil {
			return out, err
		}
		l.Text = string(b)
		out = append(out, l)
	}
	return out, nil
}

func open(t *testing.T, d mailbox.Driver, n mailbox.Name) mailbox.Mailbox {
	t.Helper()
	mb, err := d.Open(ctx, n, mailbox.ReadOnly)
	if err != nil {
		t.Fatalf("open %s: %v", n.Text, err)
	}
	t.Cleanup(func() { mb.Close() })
	return mb
}

// What comes through a pipe is read as the same octets in a file.
func TestSameAsUnix(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/unix/*.mbox")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	compared := 0
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			env := mailboxtest.NewEnv(t)
			octets, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			n := mailbox.Name{Text: "box", Path: filepath.Join(env.Home, "box")}
			write(t, n.Path, octets)
			file := unix.New(env)
			if is, err := file.Probe(n); !is {
				t.Skip("not mbox", err)
			}
			mb := open(t, file, n)
			want, err := read(mb)
			if err != nil {
				t.Fatal(err)
			}
			compared++
			d := New(env, iotest.HalfReader(bytes.NewReader(octets)), nil)
			piped := open(t, d, stdin)
			got, err := read(piped)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("standard input: %v, want -, got +\n%s", err, diff)
			}
			a, b := mb.Status(), piped.Status()
			if a.Messages != b.Messages || a.Recent != b.Recent || a.Unseen != b.Unseen || a.UIDNext != b.UIDNext || !cmp.Equal(a.Keywords, b.Keywords) {
				t.Errorf("status: got %+v\nwant %+v", b, a)
			}
			if b.Streaming {
				t.Error("status: still streaming at the end")
			}
		})
	}
	if compared < 40 {
		t.Errorf("only %d files were compared", compared)
	}
}

// A large message between small ones, with windows everywhere in it.
func TestLargeMessage(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	line := strings.Repeat("x", 70) + "\n"
	large := strings.Repeat(line, 3*4<<20/len(line))
	box := strings.Replace(threeLetters, ">From here\n", large, 1)
	mb := open(t, New(mailboxtest.NewEnv(t), strings.NewReader(box+"\n\n"+box), nil), stdin)
	got, err := read(mb)
	if err != nil || len(got) != 6 {
		t.Fatalf("got %d messages, %v; want 6", len(got), err)
	}
	want := "Subject: two\r\n\r\n" + strings.ReplaceAll(large, "\n", "\r\n")
	for _, i := range []int{1, 4} {
		if got[i].Text != want || got[i].Size != int64(len(want)) {
			t.Errorf("message %d: got %d octets, Size %d, want %d", i+1, len(got[i].Text), got[i].Size, len(want))
		}
	}
	if got[5].Text != "Subject: three\r\n\r\nno newline" {
		t.Errorf("message 6: got %q", got[5].Text)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("temporary directory: got %v, %v; want it empty", left, err)
	}
}

// The message that was yielded last can be opened again; the one before it
// only where there is a file.
func TestAgain(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	n := mailbox.Name{Text: "a.gz", Path: filepath.Join(env.Home, "a.gz")}
	write(t, n.Path, gzipped(t, threeLetters))
	archive, pipe := open(t, New(env, nil, nil), n), open(t, New(env, strings.NewReader(threeLetters), nil), stdin)
	for _, mb := range []mailbox.Mailbox{archive, pipe} {
		for _, seq := range []uint32{2, 2, 3, 3} {
			if text := textOf(t, mb, seq); !strings.Contains(text, map[uint32]string{2: "two", 3: "three"}[seq]) {
				t.Errorf("message %d: got %q", seq, text)
			}
		}
	}
	if text := textOf(t, archive, 1); !strings.Contains(text, "one") {
		t.Errorf("archive, message 1 behind message 3: got %q", text)
	}
	if _, err := pipe.Open(1); err == nil || !strings.Contains(err.Error(), "read only once") {
		t.Errorf("pipe, message 1 behind message 3: got %v", err)
	}
	if _, err := archive.Open(4); err == nil {
		t.Error("archive, message 4 of 3: got no error")
	}
}

func textOf(t *testing.T, mb mailbox.Mailbox, seq uint32) string {
	t.Helper()
	c, err := mb.Open(seq)
	if err != nil {
		t.Fatalf("message %d: %v", seq, err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("message %d: %v", seq, err)
	}
	return string(b)
}

// An archive that is cut, or has another octet somewhere, gives the messages
// before that and then ErrCorrupt, never the end.
func TestDamaged(t *testing.T) {
	var letters strings.Builder
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		fmt.Fprintf(&letters, "From a@example.com Mon Jul  2 00:00:00 2001\nSubject: %d\n\n", i)
		for range 20 {
			fmt.Fprintf(&letters, "%x\n", noise.Uint64())
		}
		letters.WriteByte('\n')
	}
	env := mailboxtest.NewEnv(t)
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, whole := range map[string][]byte{
		"gzip": gzipped(t, letters.String()), "zstd": enc.EncodeAll([]byte(letters.String()), nil),
	} {
		other := bytes.Clone(whole)
		other[len(other)/2] ^= 0x55
		for what, octets := range map[string][]byte{"cut": whole[:len(whole)/2], "other octet": other} {
			mb, err := New(env, bytes.NewReader(octets), nil).Open(ctx, stdin, mailbox.ReadOnly)
			if err == nil {
				_, err = read(mb)
				mb.Close()
			}
			if !errors.Is(err, mailbox.ErrCorrupt) {
				t.Errorf("%s, %s: got %v, want ErrCorrupt", name, what, err)
			}
		}
	}
}

// A failing reader is no end either.
func TestReadError(t *testing.T) {
	in := io.MultiReader(strings.NewReader(threeLetters), iotest.ErrReader(io.ErrClosedPipe))
	mb := open(t, New(mailboxtest.NewEnv(t), in, nil), stdin)
	got, err := read(mb)
	if !errors.Is(err, io.ErrClosedPipe) || len(got) != 2 {
		t.Errorf("got %d messages, %v; want the 2 that are whole and %v", len(got), err, io.ErrClosedPipe)
	}
}

func TestNotMbox(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	for in, want := range map[string]error{
		"":                         nil,
		"\n\n":                     nil,
		"hello\n":                  mailbox.ErrFormat,
		"From a\n":                 mailbox.ErrFormat,
		"*mbx*\r\n":                mailbox.ErrFormat,
		string(gzipped(t, "")):     nil,
		string(gzipped(t, "Hi\n")): mailbox.ErrFormat,
		"\x1f\x8b":                 mailbox.ErrCorrupt,
	} {
		mb, err := New(env, strings.NewReader(in), nil).Open(ctx, stdin, mailbox.ReadOnly)
		if !errors.Is(err, want) {
			t.Errorf("%.20q: got %v, want %v", in, err, want)
		}
		if err == nil {
			if got, err := read(mb); err != nil || len(got) > 0 {
				t.Errorf("%.20q: got %d messages, %v; want none", in, len(got), err)
			}
			mb.Close()
		}
	}
}

// A compressed file is ours when there is an mbox in it.
func TestProbe(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	d := New(env, nil, nil)
	n := mailbox.Name{Text: "x", Path: filepath.Join(env.Home, "x")}
	whole := gzipped(t, strings.Repeat(threeLetters+"\n\n", 1000))
	for what, tt := range map[string]struct {
		in   []byte
		want bool
	}{
		"mbox":         {gzipped(t, threeLetters), true},
		"mbox by xz":   {xzOf(t, threeLetters), true},
		"text by xz":   {xzOf(t, "hello\n"), false},
		"nothing":      {gzipped(t, ""), true},
		"cut mbox":     {whole[:len(whole)/2], true},
		"other text":   {gzipped(t, "hello\n"), false},
		"damaged":      {[]byte("\x1f\x8bxyz"), false},
		"bzip2's mark": {[]byte("BZh9, he said"), false},
		"plain":        {[]byte(threeLetters), false},
	} {
		write(t, n.Path, tt.in)
		if is, err := d.Probe(n); is != tt.want || err != nil {
			t.Errorf("%s: got %v, %v; want %v", what, is, err, tt.want)
		}
	}
}

// What is written is read the same, in every compression, to a file and to
// standard output.
func TestDelivery(t *testing.T) {
	for _, pack := range []Compression{None, Gzip, Zstd} {
		for _, keep := range []uint32{0, 4711} {
			env := mailboxtest.NewEnv(t)
			var out bytes.Buffer
			d := New(env, nil, &out)
			d.Compress = pack
			n := mailbox.Name{Text: "new", Path: filepath.Join(env.Home, "new")}
			want := deliver(t, d, n, keep)
			deliver(t, d, stdin, keep)

			in, err := os.Open(n.Path)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			for name, r := range map[string]io.Reader{"file": in, "standard output": &out} {
				mb := open(t, New(env, r, nil), stdin)
				got, err := read(mb)
				if err != nil || len(got) != len(want) {
					t.Fatalf("compression %d, %s: got %d messages, %v; want %d", pack, name, len(got), err, len(want))
				}
				for i := range got {
					if got[i].Text != want[i].Text || got[i].Flags.System&^mailbox.Recent != want[i].Flags.System ||
						got[i].Date != want[i].Date || got[i].Sender != want[i].Sender || keep > 0 && got[i].UID != want[i].UID {
						t.Errorf("compression %d, %s: got %+v\nwant %+v", pack, name, got[i], want[i])
					}
				}
				if st := mb.Status(); keep > 0 && (st.UIDValidity != keep || st.UIDNext != 100) || !cmp.Equal(st.Keywords, []string{"work"}) {
					t.Errorf("compression %d, %s: status: got %+v", pack, name, st)
				}
			}
			if _, err := d.Append(ctx, n, mailbox.AppendOptions{New: true}); !errors.Is(err, mailbox.ErrExist) {
				t.Errorf("a new archive of a name that is taken: got %v", err)
			}
			if _, err := d.Append(ctx, n, mailbox.AppendOptions{}); !errors.Is(err, mailbox.ErrReadOnly) {
				t.Errorf("append to an archive: got %v", err)
			}
		}
	}
}

// deliver delivers two messages and returns them.
func deliver(t *testing.T, d *Driver, n mailbox.Name, keep uint32) []letter {
	t.Helper()
	date := mailbox.Date{Year: 2021, Month: 2, Day: 5, Hour: 6, Minute: 7, Second: 8, Zone: 60}
	want := []letter{
		{mailbox.Message{UID: 7, Date: date, Flags: mailbox.Flags{System: mailbox.Seen, Keywords: 1}}, "a@example.com", "Subject: one\r\n\r\nText.\r\n"},
		{mailbox.Message{UID: 9, Date: date, Flags: mailbox.Flags{System: mailbox.Flagged}}, "b@example.com", "Subject: two\r\n\r\n"},
	}
	o := mailbox.AppendOptions{New: true, Keywords: []string{"work"}, UIDValidity: keep, UIDNext: 100}
	del, err := d.Append(ctx, n, o)
	if err != nil {
		t.Fatal(err)
	}
	defer del.Abort()
	for _, l := range want {
		l.Size = int64(len(l.Text))
		if _, err := del.Add(mailbox.Item{Message: l.Message, Sender: l.Sender, Text: strings.NewReader(l.Text)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := del.Commit(); err != nil {
		t.Fatal(err)
	}
	return want
}

func TestAbort(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	d := New(env, nil, nil)
	d.Compress = Gzip
	n := mailbox.Name{Text: "new", Path: filepath.Join(env.Home, "new")}
	del, err := d.Append(ctx, n, mailbox.AppendOptions{New: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := del.Abort(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(env.Home); err != nil || len(left) > 0 {
		t.Errorf("after Abort: got %v, %v; want nothing", left, err)
	}
}

func fixedNow() time.Time { return time.Unix(1700000000, 0).UTC() }

// FuzzStream scans octets as a file and as a stream, whose windows lie
// elsewhere.
func FuzzStream(f *testing.F) {
	f.Add([]byte(threeLetters), uint16(100))
	f.Add([]byte("\n\n"+threeLetters+strings.Repeat("y", 9000)+"\nFrom c@example.com Mon Jul  2 00:00:02 2001\n"), uint16(5000))
	f.Fuzz(func(t *testing.T, octets []byte, cut uint16) {
		if ok, err := mbox.Probe(bytes.NewReader(octets)); !ok || err != nil {
			return
		}
		env := &mailbox.Env{Now: fixedNow, Notify: func(mailbox.Level, string) {}}
		var whole, parts mbox.Index
		file := mbox.Scanner{Env: env, W: winread.New(bytes.NewReader(octets), 1<<20, int64(len(octets))), Ix: &whole}
		if err := file.Run(); err != nil {
			t.Fatal(err)
		}
		at := min(int(cut), len(octets))
		w := winread.NewStream(io.MultiReader(bytes.NewReader(octets[:at]), bytes.NewReader(octets[at:])), 1<<20)
		defer w.Close()
		pipe := mbox.Scanner{Env: env, W: w, Ix: &parts}
		for {
			ok, err := pipe.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if err := w.Keep(parts.Msgs[len(parts.Msgs)-1].From); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(whole.Msgs, parts.Msgs); diff != "" || whole.End != parts.End || whole.Last != parts.Last {
			t.Errorf("file -, stream +\n%s", diff)
		}
	})
}

// A check of a stream finds what a check of the same file finds.
func TestInspect(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/unix/*.mbox")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	found := 0
	for _, path := range files {
		env := mailboxtest.NewEnv(t)
		octets, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n := mailbox.Name{Text: "box", Path: filepath.Join(env.Home, "box")}
		write(t, n.Path, octets)
		file := unix.New(env)
		if is, _ := file.Probe(n); !is {
			continue
		}
		want, wantIn := findings(t, file, n)
		got, gotIn := findings(t, New(env, bytes.NewReader(octets), nil), stdin)
		if !cmp.Equal(want, got) {
			t.Errorf("%s: file -, stream +\n%s", path, cmp.Diff(want, got))
		}
		if wantIn.Messages != gotIn.Messages || wantIn.Size != gotIn.Size {
			t.Errorf("%s: got %+v, want %+v", path, gotIn, wantIn)
		}
		found += len(want)
	}
	if found < 20 {
		t.Errorf("only %d findings", found)
	}
	cut := gzipped(t, strings.Repeat(threeLetters+"\n\n", 50))
	got, in := findings(t, New(mailboxtest.NewEnv(t), bytes.NewReader(cut[:len(cut)/2]), nil), stdin)
	if in.Sound() || len(got) != 1 || got[0].Code != "stream.packed" {
		t.Errorf("cut archive: got %v, %+v", got, in)
	}
}

func findings(t *testing.T, d mailbox.Checker, n mailbox.Name) (out []mailbox.Finding, in mailbox.Inspection) {
	t.Helper()
	in, err := d.Inspect(ctx, n, func(f mailbox.Finding) error {
		out = append(out, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, in
}
