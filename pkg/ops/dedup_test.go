package ops_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// A leaf is a message of a test of Dedup: header and body, flags and keywords.
type leaf struct {
	text     string
	system   mailbox.SystemFlags
	keywords uint64 // of red, green
}

func fillBox(t *testing.T, s *ops.Session, format, name string, leaves ...leaf) {
	t.Helper()
	n, err := s.Env.Resolve(name)
	if err != nil {
		t.Fatal(err)
	}
	to, err := s.Drivers.Named(format).(mailbox.Appender).Append(t.Context(), n, mailbox.AppendOptions{New: true, Keywords: []string{"red", "green"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leaves {
		it := mailbox.Item{Text: strings.NewReader(l.text)}
		it.Size = int64(len(l.text))
		it.Flags = mailbox.Flags{System: l.system, Keywords: l.keywords}
		if _, err := to.Add(it); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := to.Commit(); err != nil {
		t.Fatal(err)
	}
}

// bodies is what is in a mailbox: the last word of each message and its flags.
func bodies(t *testing.T, s *ops.Session, name string) string {
	t.Helper()
	var out []string
	for line := range strings.Lines(tellAll(t, s, name, false)) {
		_, text, _ := strings.Cut(line, `"`)
		words := strings.Fields(strings.NewReplacer(`\r\n`, " ", `"`, "").Replace(text))
		_, flags, _ := strings.Cut(line, "[")
		flags, _, _ = strings.Cut(flags, "]")
		out = append(out, fmt.Sprintf("%s[%s]", words[len(words)-1], flags))
	}
	return strings.Join(out, " ")
}

const head = "Message-ID: <1@x>\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\n"

func TestDedup(t *testing.T) {
	one := leaf{text: head + "\r\none\r\n"}
	with := func(l leaf, f mailbox.SystemFlags, k uint64) leaf { return leaf{l.text, f, k} }
	for _, tt := range []struct {
		name string
		a, b []leaf
		o    ops.DedupOptions
		want string // a, b, and to
	}{
		{"nothing", []leaf{one}, []leaf{{text: head + "\r\ntwo\r\n"}}, ops.DedupOptions{}, "one[] | two[] | "},
		{"within", []leaf{one, one}, nil, ops.DedupOptions{}, "one[] |  | "},
		{"across", []leaf{one}, []leaf{one}, ops.DedupOptions{}, "one[] |  | "},
		{"moved", []leaf{one, with(one, mailbox.Seen, 0)}, []leaf{one}, ops.DedupOptions{To: "to"}, `one[\Seen] |  | one[\Seen]`},
		{"flags of all", []leaf{with(one, mailbox.Seen, 1), with(one, mailbox.Flagged, 0)}, []leaf{with(one, mailbox.Answered, 2)}, ops.DedupOptions{}, `one[\Answered \Flagged \Seen green red] |  | `},
		{"one that is deleted goes", []leaf{with(one, mailbox.Deleted|mailbox.Seen, 0)}, []leaf{one}, ops.DedupOptions{}, ` | one[\Seen] | `},
		{"all are deleted", []leaf{with(one, mailbox.Deleted, 0)}, []leaf{with(one, mailbox.Deleted, 0)}, ops.DedupOptions{}, `one[\Deleted] |  | `},
		{
			"other headers",
			[]leaf{one},
			[]leaf{{text: "Received: by me\r\nX-Y: z\r\n" + head + "\r\none\r\n"}},
			ops.DedupOptions{},
			"one[] |  | ",
		},
		{"line ends", []leaf{one}, []leaf{{text: head + "\r\none"}}, ops.DedupOptions{}, "one[] |  | "},
		{"another date", []leaf{one}, []leaf{{text: strings.Replace(one.text, "Mon", "Tue", 1)}}, ops.DedupOptions{}, "one[] | one[] | "},
		{"another date, by message-id", []leaf{one}, []leaf{{text: strings.Replace(one.text, "Mon", "Tue", 1)}}, ops.DedupOptions{ByMessageID: true}, "one[] |  | "},
		{"no message-id", []leaf{{text: "Date: x\r\n\r\none\r\n"}}, []leaf{{text: "Date: x\r\nTo: y\r\n\r\none\r\n"}, {text: "Date: x\r\n\r\none\r\n"}}, ops.DedupOptions{}, "one[] | one[] | "},
		{"no message-id, by message-id", []leaf{{text: "Date: x\r\n\r\none\r\n"}}, []leaf{{text: "Date: x\r\n\r\none\r\n"}}, ops.DedupOptions{ByMessageID: true}, "one[] | one[] | "},
		{
			"a text like a key",
			[]leaf{{text: "body of \"<1@x>\" \"Mon, 1 Jan 2024 10:00:00 +0000\"\r\none\r\n"}},
			[]leaf{one},
			ops.DedupOptions{},
			"one[] | one[] | ",
		},
	} {
		for _, formats := range [][2]string{{"unix", "mbx"}, {"mbx", "unix"}} {
			s, _ := homeSession(t)
			fillBox(t, s, formats[0], "a", tt.a...)
			fillBox(t, s, formats[1], "b", tt.b...)
			names := []string{"a", "b"}
			s.DryRun = true
			var would []string
			tt.o.Duplicate = func(d ops.Duplicate) { would = append(would, fmt.Sprint(d.Mailbox, d.Seq)) }
			dry, err := s.Dedup(t.Context(), names, tt.o)
			if err != nil || dry.Expunged != 0 || int(dry.Found) != len(tt.a)+len(tt.b) || int(dry.Duplicates) != len(would) {
				t.Errorf("%s: dry run: got %+v, %v", tt.name, dry, err)
			}
			if !slices.IsSorted(would) {
				t.Errorf("%s: told in the order %v", tt.name, would)
			}
			s.DryRun = false
			d, err := s.Dedup(t.Context(), names, tt.o)
			if err != nil || d.Expunged != dry.Duplicates {
				t.Errorf("%s: got %+v, %v", tt.name, d, err)
			}
			to := ""
			if tt.o.To != "" {
				to = bodies(t, s, tt.o.To)
			}
			if got := bodies(t, s, "a") + " | " + bodies(t, s, "b") + " | " + to; got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
			}
			if d, err := s.Dedup(t.Context(), names, tt.o); err != nil || d.Expunged+d.Flagged+d.Moved > 0 {
				t.Errorf("%s: again: got %+v, %v", tt.name, d, err)
			}
		}
	}
}

// A mailbox by two names would lose everything.
func TestDedupTwice(t *testing.T) {
	s, home := homeSession(t)
	fillBox(t, s, "mbx", "a", leaf{text: head + "\r\none\r\n"})
	if err := os.Symlink("a", filepath.Join(home, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(home, "a"), filepath.Join(home, "hard")); err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{{"a", "a"}, {"a", "link"}, {"hard", "a"}, {"a", "./a"}} {
		if _, err := s.Dedup(t.Context(), names, ops.DedupOptions{}); err == nil {
			t.Errorf("%v: no error", names)
		}
	}
	if _, err := s.Dedup(t.Context(), []string{"a"}, ops.DedupOptions{To: "link"}); err == nil {
		t.Error("to itself: no error")
	}
	if n := count(t, s, "a"); n != 1 {
		t.Errorf("%d messages are left", n)
	}
}

// When the messages cannot be moved, none is expunged.
func TestDedupTargetFails(t *testing.T) {
	s, home := homeSession(t)
	one := leaf{text: head + "\r\none\r\n"}
	fillBox(t, s, "unix", "a", one, one)
	if err := os.Mkdir(filepath.Join(home, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Dedup(t.Context(), []string{"a"}, ops.DedupOptions{To: "dir"}); err == nil || errors.Is(err, mailbox.ErrBusy) {
		t.Errorf("got %v", err)
	}
	if n := count(t, s, "a"); n != 2 {
		t.Errorf("%d messages are left", n)
	}
}
