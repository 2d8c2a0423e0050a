package deliver

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestReadMessage(t *testing.T) {
	long := strings.Repeat("x", maxFirst-1) + "\n"
	for _, tt := range []struct {
		name, in, want string // want "" is errFirstLine
		sender         string
	}{
		{"CRLF", "A: b\r\n\r\nx\r\n", "F\r\nA: b\r\n\r\nx\r\n", ""},
		{"CRLF, bare LF and CR behind", "A: b\r\n\r\nx\ny\rz\r\n", "F\r\nA: b\r\n\r\nx\ny\rz\r\n", ""},
		{"LF", "A: b\n\nx\n", "F\r\nA: b\r\n\r\nx\r\n", ""},
		{"LF, CR before some", "A: b\n\nx\r\ny", "F\r\nA: b\r\n\r\nx\r\r\ny", ""},
		{"From_", "From a@b Thu Jan  1 00:00:00 2026\nA: b\n", "F\r\nA: b\r\n", "a@b"},
		{"From_, CRLF", "From a@b x\r\nA: b\r\n", "F\r\nA: b\r\n", "a@b"},
		{"From_ alone", "From a@b\n", "F\r\n", "a@b"},
		{"From: is none", "From: a@b\n", "F\r\nFrom: a@b\r\n", ""},
		{"empty header", "\r\nbody\r\n", "F\r\n\r\nbody\r\n", ""},
		{"NULs and 8-bit", "A: b\n\n\x00\xff\n", "F\r\nA: b\r\n\r\n\x00\xff\r\n", ""},
		{"longest first line", long, "F\r\n" + long[:len(long)-1] + "\r\n", ""},
		{"longer", "x" + long, "", ""},
		{"much longer", strings.Repeat("x", 1<<20), "", ""},
		{"nothing", "", "", ""},
		{"LF alone", "\nbody\n", "", ""},
		{"no line end", "A: b", "", ""},
	} {
		for _, how := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader} {
			m, err := readMessage(how(strings.NewReader(tt.in)), "F\r\n")
			if tt.want == "" {
				if !errors.Is(err, errFirstLine) {
					t.Errorf("%s: got %v, want %v", tt.name, err, errFirstLine)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			b, err := io.ReadAll(m.open())
			if string(b) != tt.want || err != nil || m.spool.Size() != int64(len(tt.want)) || m.sender != tt.sender {
				t.Errorf("%s\n got %.200q, %v, sender %q\nwant %.200q, sender %q", tt.name, b, err, m.sender, tt.want, tt.sender)
			}
			if err := m.spool.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A read error is no message.
func TestReadError(t *testing.T) {
	broken := errors.New("broken")
	r := io.MultiReader(strings.NewReader("A: b\n\nx\n"), iotest.ErrReader(broken))
	if _, err := readMessage(r, ""); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

func TestFields(t *testing.T) {
	now := time.Date(2026, 1, 5, 6, 7, 8, 0, time.UTC)
	for _, tt := range []struct {
		a    Agent
		want string
	}{
		{Agent{Options: Options{Version: "tmail-2007f.22"}}, "Received: via tmail-2007f.22 for a+b; Mon, 5 Jan 2026 06:07:08 +0000 (UTC)\r\n"},
		{
			Agent{Options: Options{Version: "v", HasFrom: true, DeliveredTo: true, Several: true}, Invoker: "mallory\r\nX: y"},
			"Return-Path: <>\r\nDelivered-To: a+b\r\nReceived: via v (invoked by user mallory??X: y); Mon, 5 Jan 2026 06:07:08 +0000 (UTC)\r\n",
		},
	} {
		if got := tt.a.fields("a+b", now); got != tt.want {
			t.Errorf("\n got %q\nwant %q", got, tt.want)
		}
	}
	a := Agent{Options: Options{Version: "v"}}
	if got := a.fields("a+b\r\nX-Evil: y", now); strings.Count(got, "\n") != 1 {
		t.Errorf("a field was smuggled in: %q", got)
	}
}

func TestCheckSender(t *testing.T) {
	for from, ok := range map[string]bool{"": true, "a@b": true, "a b@c": true, "a>b": false, "a\nb": false, "a\x00": false, "a\x7f": false, "ä@b": true} {
		if err := checkSender(from); (err == nil) != ok {
			t.Errorf("%q: got %v", from, err)
		}
	}
}

func TestCutBrackets(t *testing.T) {
	for from, want := range map[string]string{"": "", "<>": "", "<a@b>": "a@b", "a@b": "a@b", "<": "<", ">": ">", "<a": "<a"} {
		if got := cutBrackets(from); got != want {
			t.Errorf("%q: got %q, want %q", from, got, want)
		}
	}
}

func TestAllowed(t *testing.T) {
	d := &delivery{target: &target{screen: "%*#/~"}}
	for folder, ok := range map[string]bool{
		"x": true, "a/b": true, "a.b": true, "Mail/x~y": true,
		"/etc/x": false, "~bob/x": false, "#mh/x": false, "*x": false, "%x": false, "{h}x": false,
		"a/../b": false, "..": false, "a//b": false, "a/~b": false, "a..b": false,
	} {
		if got := d.allowed(folder); got != ok {
			t.Errorf("%q: got %v", folder, got)
		}
	}
}
