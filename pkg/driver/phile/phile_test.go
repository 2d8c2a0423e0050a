package phile

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

func newDriver(t *testing.T) (*Driver, *mailbox.Env) {
	env := mailboxtest.NewEnv(t)
	now := time.Date(2024, 2, 29, 12, 0, 0, 0, time.FixedZone("", -(3*3600+1800)))
	env.Now = func() time.Time { return now }
	return New(env), env
}

// put writes a file of a fixed time.
func put(t *testing.T, env *mailbox.Env, name, text string) mailbox.Name {
	t.Helper()
	n := mailbox.Name{Text: name, Path: filepath.Join(env.Home, name)}
	if err := os.WriteFile(n.Path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	mtime := time.Unix(1700000000, 0)
	if err := os.Chtimes(n.Path, mtime, mtime); err != nil {
		t.Fatal(err)
	}
	return n
}

// header is what the original makes for a file of put.
func header(t *testing.T, n mailbox.Name, rest string) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return "Date: Tue, 14 Nov 2023 18:43:20 -0330\r\nFrom: " + u.Username + "@mail.example.org\r\nSubject: " + n.Path +
		"\r\nMIME-Version: 1.0\r\nContent-Type: " + rest + "\r\n\r\n"
}

func TestContract(t *testing.T) {
	for name, text := range map[string]string{
		"text": "hello\nworld\n", "binary": strings.Repeat("\x00\x01", 300_000), "CR": "hello\r\nwor\rld", "one": "x",
		"large": strings.Repeat("a line\n", 300_000),
	} {
		t.Run(name, func(t *testing.T) {
			mailboxtest.Run(t, mailboxtest.Harness{
				New: func(t *testing.T) (mailbox.Driver, *mailbox.Env) { return newDriver(t) },
				Fixture: func(t *testing.T, env *mailbox.Env, n mailbox.Name) []string {
					put(t, env, n.Text, text)
					switch name {
					case "binary":
						return []string{header(t, n, "APPLICATION/OCTET-STREAM; name=own\r\nContent-Transfer-Encoding: BASE64") + mimeLines(text)}
					case "CR":
						return []string{header(t, n, "TEXT/PLAIN; charset=US-ASCII") + text}
					}
					return []string{header(t, n, "TEXT/PLAIN; charset=US-ASCII") + strings.ReplaceAll(text, "\n", "\r\n")}
				},
			})
		})
	}
}

// mimeLines is base64 in lines of 60, made the simple way.
func mimeLines(text string) string {
	all := base64.StdEncoding.EncodeToString([]byte(text))
	var out strings.Builder
	for len(all) >= 60 {
		out.WriteString(all[:60] + "\r\n")
		all = all[60:]
	}
	return out.String() + all + "\r\n"
}

// read returns the only message of n.
func read(t *testing.T, d *Driver, n mailbox.Name) (mailbox.Message, string) {
	t.Helper()
	mb, err := d.Open(t.Context(), n, mailbox.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	var msg mailbox.Message
	for m := range mb.Messages(mailbox.All) {
		msg = m
	}
	c, err := mb.Open(1)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	if msg.Size != int64(len(text)) {
		t.Errorf("%s: Size is %d, got %d octets", n.Text, msg.Size, len(text))
	}
	return msg, string(text)
}

// What the original shows was taken from its mailutil, copying such files.
func TestKinds(t *testing.T) {
	d, env := newDriver(t)
	const (
		plainText = "TEXT/PLAIN; charset=US-ASCII"
		jp        = "TEXT/PLAIN; charset=ISO-2022-JP"
		kr        = "TEXT/PLAIN; charset=ISO-2022-KR"
		cn        = "TEXT/PLAIN; charset=ISO-2022-CN"
		eight     = "\r\nContent-Transfer-Encoding: 8BIT"
	)
	for _, tt := range []struct{ name, in, kind, body string }{
		{"text", "hello\nworld\n", plainText, "hello\r\nworld\r\n"},
		{"no final newline", "hello", plainText, "hello"},
		{"one LF", "\n", plainText, "\r\n"},
		{"any CR", "a\r\nb\rc\nd", plainText, "a\r\nb\rc\nd"},
		{"8-bit", "caf\xe9\n", "TEXT/PLAIN; charset=X-UNKNOWN" + eight, "caf\xe9\r\n"},
		{"text controls", "\x07\x08\x0b\x0c\x0e\x0f\t\x1b\n", plainText, "\x07\x08\x0b\x0c\x0e\x0f\t\x1b\r\n"},
		{"jp B", "x\x1b$Bxx\x1b(B\n", jp, "x\x1b$Bxx\x1b(B\r\n"},
		{"jp @", "\x1b$@", jp, "\x1b$@"},
		{"kr", "\x1b$)C", kr, "\x1b$)C"},
		{"cn A", "\x1b$)A", cn, "\x1b$)A"},
		{"cn E", "\x1b$)E", cn, "\x1b$)E"},
		{"cn G", "\x1b$)G", cn, "\x1b$)G"},
		{"cn H", "\x1b$*H", cn, "\x1b$*H"},
		{"cn I", "\x1b$+I", cn, "\x1b$+I"},
		{"cn M", "\x1b$+M", cn, "\x1b$+M"},
		{"not cn", "\x1b$+N\x1b$*I\x1b$)H", plainText, "\x1b$+N\x1b$*I\x1b$)H"},
		{"no sequence", "\x1b[31m\x1b$", plainText, "\x1b[31m\x1b$"},
		{"ESC ESC", "\x1b\x1b$B\x1b$\x1b$)C", jp, "\x1b\x1b$B\x1b$\x1b$)C"},
		{"jp before kr", "\x1b$)C\x1b$B", jp, "\x1b$)C\x1b$B"},
		{"kr before cn", "\x1b$)C\x1b$)A", kr, "\x1b$)C\x1b$)A"},
		{"jp, 8-bit", "\x1b$B\xe9\n", jp + eight, "\x1b$B\xe9\r\n"},
	} {
		n := put(t, env, tt.name, tt.in)
		_, got := read(t, d, n)
		if want := header(t, n, tt.kind) + tt.body; got != want {
			t.Errorf("%s: %q\n got %q\nwant %q", tt.name, tt.in, got, want)
		}
	}
}

func TestBinary(t *testing.T) {
	d, env := newDriver(t)
	full := strings.Repeat("A", 60) + "\r\n"
	part := strings.Repeat("A", 59) + "=\r\n"
	for size, want := range map[int]string{
		1: "AA==\r\n", 2: "AAA=\r\n", 3: "AAAA\r\n", 42: strings.Repeat("A", 56) + "\r\n", 44: part + "\r\n",
		45: full + "\r\n", 46: full + "AA==\r\n", 89: full + part + "\r\n", 90: full + full + "\r\n", 91: full + full + "AA==\r\n",
	} {
		n := put(t, env, "zeros", string(make([]byte, size)))
		_, got := read(t, d, n)
		_, body, _ := strings.Cut(got, "\r\n\r\n")
		if body != want {
			t.Errorf("%d NULs\n got %q\nwant %q", size, body, want)
		}
	}
	for c := range 256 {
		n := put(t, env, "octet", "a"+string([]byte{byte(c)})+"b")
		_, got := read(t, d, n)
		want := c <= 6 || 0x10 <= c && c <= 0x1A || 0x1C <= c && c <= 0x1F || c == 0x7F
		if is := strings.Contains(got, "BASE64"); is != want {
			t.Errorf("octet %02x: binary is %v, want %v", c, is, want)
		}
	}
}

func TestNamesOfBinaries(t *testing.T) {
	d, env := newDriver(t)
	for name, want := range map[string]string{
		"b45": "b45", "n'b": "n'b", "a'%*b": "a'%*b", "a{b": "a{b", "caf\u00e9": "caf\u00e9",
		"na me": `"na me"`, "a.b,c": `"a.b,c"`, "x()": `"x()"`, "q=b": `"q=b"`, "a?b": `"a?b"`, "a<b": `"a<b"`,
		"a:b": `"a:b"`, "a[b": `"a[b"`, "a\tb": "\"a\tb\"", "a\x7fb": "\"a\x7fb\"", `a\b`: `"a\\b"`, `quo"te`: `"quo\"te"`,
	} {
		_, got := read(t, d, put(t, env, name, "\x00"))
		if want := "name=" + want + "\r\n"; !strings.Contains(got, want) {
			t.Errorf("%q\n got %q\nwant %q in it", name, got, want)
		}
	}
}

func TestIndex(t *testing.T) {
	d, env := newDriver(t)
	n := put(t, env, "box", "text\n")
	m, _ := read(t, d, n)
	want := mailbox.Date{Year: 2023, Month: 11, Day: 14, Hour: 18, Minute: 43, Second: 20, Zone: -210}
	if m.Date != want || m.UID != 1 || m.Flags != (mailbox.Flags{System: mailbox.Recent}) {
		t.Errorf("got %+v, want date %v, UID 1, recent alone", m, want)
	}
	mb, err := d.Open(t.Context(), n, mailbox.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	st := mb.Status()
	if st.UIDValidity != 1700000000 || st.UIDNext != 2 || !st.ReadOnly || st.Recent != 1 || st.Unseen != 1 {
		t.Errorf("Status: got %+v", st)
	}
}

func TestRefusals(t *testing.T) {
	d, env := newDriver(t)
	n := put(t, env, "box", "text\n")
	_, err := d.Append(t.Context(), n, mailbox.AppendOptions{})
	if want := "Can't append - not in valid mailbox format: " + n.Path; !errors.Is(err, mailbox.ErrFormat) || err.Error() != want {
		t.Errorf("append\n got %v\nwant %s", err, want)
	}
	put(t, env, "empty", "")
	if err := os.Mkdir(filepath.Join(env.Home, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"empty": mailbox.ErrFormat, "dir": mailbox.ErrNotMailbox, "none": mailbox.ErrNotExist, "box/x": mailbox.ErrNotExist} {
		n := mailbox.Name{Text: name, Path: filepath.Join(env.Home, name)}
		if ok, err := d.Probe(n); ok || err != nil {
			t.Errorf("probe %s: got %v, %v", name, ok, err)
		}
		if _, err := d.Open(t.Context(), n, mailbox.ReadOnly); !errors.Is(err, want) {
			t.Errorf("open %s: got %v, want %v", name, err, want)
		}
		if err := d.Delete(t.Context(), n); !errors.Is(err, want) {
			t.Errorf("delete %s: got %v, want %v", name, err, want)
		}
	}
	inbox := mailbox.Name{Text: "INBOX", Inbox: true}
	if ok, err := d.Probe(inbox); ok || err != nil {
		t.Errorf("probe INBOX: got %v, %v", ok, err)
	}
}

// A file that changes under an open mailbox is an error, never other text.
func TestChanged(t *testing.T) {
	for name, change := range map[string]func(string) error{
		"cut":     func(p string) error { return os.Truncate(p, 100_000) },
		"more LF": func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("\n"), 700_000), 0o600) },
		"less LF": func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("x"), 700_000), 0o600) },
	} {
		d, env := newDriver(t)
		n := put(t, env, "box", strings.Repeat("a line\n", 100_000))
		mb, err := d.Open(t.Context(), n, mailbox.ReadOnly)
		if err != nil {
			t.Fatal(err)
		}
		defer mb.Close()
		before, err := mb.(mailbox.Prover).Prove()
		if err != nil {
			t.Fatal(err)
		}
		if err := change(n.Path); err != nil {
			t.Fatal(err)
		}
		if after, err := mb.(mailbox.Prover).Prove(); err != nil || after == before {
			t.Errorf("%s: proof: got %v, %v, want one that differs", name, after, err)
		}
		if _, err := mb.Ping(); !errors.Is(err, mailbox.ErrChanged) {
			t.Errorf("%s: ping: got %v, want %v", name, err, mailbox.ErrChanged)
		}
		c, err := mb.Open(1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); err == nil {
			t.Errorf("%s: read: got no error", name)
		}
	}
}

// FuzzContent compares the stream with the simple way to make it.
func FuzzContent(f *testing.F) {
	for _, s := range []string{"a\nb", "a\rb\n", "\x00", "\x1b$)C", "caf\xe9"} {
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, in []byte, times int) {
		in = bytes.Repeat(in, 1+max(0, times)%1000)
		if len(in) == 0 {
			return
		}
		d, env := newDriver(t)
		_, got := read(t, d, put(t, env, "own", string(in)))
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		want := strings.ReplaceAll(string(in), "\n", "\r\n")
		if strings.Contains(head, "BASE64") {
			want = mimeLines(string(in))
		} else if bytes.ContainsRune(in, '\r') {
			want = string(in)
		}
		if body != want {
			t.Errorf("%q\n got %q\nwant %q", in, body, want)
		}
	})
}
