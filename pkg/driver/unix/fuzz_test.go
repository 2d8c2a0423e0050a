package unix

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

func seedFiles(f *testing.F) {
	names, err := filepath.Glob(filepath.Join(goldenDir, "*.mbox"))
	if err != nil || len(names) == 0 {
		f.Fatal("no golden files: ", err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) < 8<<10 {
			f.Add(b)
		}
	}
}

// FuzzScan wants the messages to cover the file, each as long as it says, and
// the same whatever the window.
func FuzzScan(f *testing.F) {
	seedFiles(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		env, _ := goldenEnv(t)
		var small, large index
		for _, p := range []struct {
			ix   *index
			size int
		}{{&small, 0}, {&large, windowSize}} {
			w := winread.New(bytes.NewReader(b), p.size, int64(len(b)))
			s := scanner{env: env, w: w, ix: p.ix}
			if ok, err := probe(bytes.NewReader(b)); !ok || err != nil {
				return
			}
			if err := s.run(); err != nil {
				t.Fatal(err)
			}
			checkExtents(t, p.ix, b, w)
		}
		if len(small.msgs) != len(large.msgs) || small.last != large.last {
			t.Fatalf("%d messages through a small window, %d through a large one", len(small.msgs), len(large.msgs))
		}
		for i := range small.msgs {
			if len(b) < 4096 && small.msgs[i] != large.msgs[i] {
				t.Fatalf("message %d: %+v, %+v", i+1, small.msgs[i], large.msgs[i])
			}
		}
	})
}

func checkExtents(t *testing.T, ix *index, b []byte, w *winread.Window) {
	all := ix.msgs
	if ix.pseudo {
		all = append([]message{ix.internal}, all...)
	}
	end := int64(len(b))
	for i := len(all) - 1; i >= 0; i-- {
		m := all[i]
		if m.from+int64(m.header) > m.body || m.body > m.end || m.end > end || end-m.end > 2 {
			t.Fatalf("message %d: from %d, body %d, end %d, but the next begins at %d", i+1, m.from, m.body, m.end, end)
		}
		end = m.from
	}
	if len(bytes.TrimLeft(b[:end], "\r\n \t")) > 0 {
		t.Fatalf("%d octets before the first message", end)
	}
	var last uint32
	for i, m := range ix.msgs {
		if m.uid <= last {
			t.Fatalf("message %d: UID %d after %d", i+1, m.uid, last)
		}
		last = m.uid
		var c content
		c.reset(w, m)
		n, err := io.Copy(io.Discard, &c)
		if err != nil || n != m.size {
			t.Fatalf("message %d: %d octets, size %d, %v", i+1, n, m.size, err)
		}
	}
}

// FuzzRewrite wants a mailbox to have the same messages after it was
// rewritten, but for line ends that were missing at the end of the file.
func FuzzRewrite(f *testing.F) {
	seedFiles(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if ok, err := probe(bytes.NewReader(b)); !ok || err != nil {
			return
		}
		env, _ := goldenEnv(t)
		n := putBytes(t, env, "box", b)
		mb := open(t, env, n, mailbox.ReadWrite)
		before := messages(t, mb)
		if err := mb.Store(mailbox.All, mailbox.Add, mailbox.FlagList{System: mailbox.Flagged, Keywords: []string{"$Fuzzed"}}); err != nil &&
			len(mb.Status().Keywords) < maxKeywords {
			t.Fatal(err)
		}
		flagged := messages(t, mb)
		if err := mb.Close(); err != nil {
			t.Fatal(err)
		}
		mb = open(t, env, n, mailbox.ReadOnly)
		defer mb.Close()
		after := messages(t, mb)
		if len(before) != len(after) || len(flagged) != len(after) {
			t.Fatalf("%d messages, %d after a change of flags, %d when read again", len(before), len(flagged), len(after))
		}
		for i := range after {
			last := i == len(after)-1
			if before[i].SHA256 != after[i].SHA256 && !last || before[i].UID != after[i].UID {
				t.Fatalf("message %d: was %+v, is %+v", i+1, before[i], after[i])
			}
			if flagged[i].SHA256 != after[i].SHA256 || flagged[i].Size != after[i].Size || flagged[i].UID != after[i].UID {
				t.Fatalf("message %d: %+v in the session, %+v when read again", i+1, flagged[i], after[i])
			}
		}
	})
}

func FuzzFromLine(f *testing.F) {
	f.Add([]byte("From user Wed Dec  2 05:53:22 1992 -0700\n"))
	f.Add([]byte("From a@b Wed Dec  2 05:53:22 2020 EST remote from xyzzy\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ln, ok := parseFrom(b)
		if !ok {
			return
		}
		d, _ := ln.date(time.UTC)
		if again, ok := parseFrom(appendFrom(nil, cleanSender(string(ln.sender)), d)); !ok {
			t.Fatalf("%q", again)
		}
	})
}
