package mh

import (
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
)

func TestInspect(t *testing.T) {
	for _, tt := range []struct{ name, sequences, want string }{
		{"none", "-", ""},
		{"sound", "unseen: 1-2\ncur: 9\n", ""},
		{"ranges may have holes", "unseen: 1-9\n", ""},
		{"gone", "unseen: 7 9\nreplied: 8\n", "mh.sequence-gone mh.sequence-gone"},
		{"twice", "a: 1\na: 2\n", "mh.sequence-twice"},
		{"lines", "nonsense\na: x 0 5-3\n", "mh.sequence-line mh.sequence-line mh.sequence-line mh.sequence-line"},
	} {
		w := newWorld(t)
		w.write("box/1", "Subject: x\n\nx\n")
		w.write("box/2", "Subject: x\r\n\r\nx\r\n")
		if tt.sequences != "-" {
			w.write("box/.mh_sequences", tt.sequences)
		}
		if got := w.codes("#mh/box"); got != tt.want {
			t.Errorf("%s: findings\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
	w := newWorld(t)
	for name, text := range map[string]string{
		"box/1": "", "box/2": "a\x00", "box/007": "x\n", "box/12/1": "x\n", "box/.mailutil-1-2-3.1": "x", "box/.mailutil-plan": "x", "box/,3": "x",
	} {
		w.write(name, text)
	}
	if got, want := w.codes("#mh/box"), "mh.plan mh.leftover mh.stray mh.stray mh.empty mh.nuls mh.no-newline"; got != want {
		t.Errorf("findings\n got %s\nwant %s", got, want)
	}
}

func (w *world) codes(name string) string {
	w.t.Helper()
	var out []string
	in, err := w.Inspect(ctx, w.name(name), func(f mailbox.Finding) error {
		out = append(out, f.Code)
		return nil
	})
	if err != nil || in.Messages != 2 || in.Path != w.path("box") {
		w.t.Errorf("got %+v, %v", in, err)
	}
	return strings.Join(out, " ")
}
