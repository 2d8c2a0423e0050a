package unix

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mailutil/pkg/internal/mbox"
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
		var small, large mbox.Index
		for _, p := range []struct {
			ix   *mbox.Index
			size int
		}{{&small, 0}, {&large, windowSize}} {
			w := winread.New(bytes.NewReader(b), p.size, int64(len(b)))
			s := mbox.Scanner{Env: env, W: w, Ix: p.ix}
			if ok, err := mbox.Probe(bytes.NewReader(b)); !ok || err != nil {
				return
			}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			checkExtents(t, p.ix, b, w)
		}
		if len(small.Msgs) != len(large.Msgs) || small.Last != large.Last {
			t.Fatalf("%d messages through a small window, %d through a large one", len(small.Msgs), len(large.Msgs))
		}
		for i := range small.Msgs {
			if len(b) < 4096 && small.Msgs[i] != large.Msgs[i] {
				t.Fatalf("message %d: %+v, %+v", i+1, small.Msgs[i], large.Msgs[i])
			}
		}
	})
}

func checkExtents(t *testing.T, ix *mbox.Index, b []byte, w *winread.Window) {
	all := ix.Msgs
	if ix.Pseudo {
		all = append([]mbox.Message{ix.Internal}, all...)
	}
	end := int64(len(b))
	for i := len(all) - 1; i >= 0; i-- {
		m := all[i]
		if m.From+int64(m.Header) > m.Body || m.Body > m.End || m.End > end || end-m.End > 2 {
			t.Fatalf("message %d: from %d, body %d, end %d, but the next begins at %d", i+1, m.From, m.Body, m.End, end)
		}
		end = m.From
	}
	if len(bytes.TrimLeft(b[:end], "\r\n \t")) > 0 {
		t.Fatalf("%d octets before the first message", end)
	}
	var last uint32
	for i, m := range ix.Msgs {
		if m.UID <= last {
			t.Fatalf("message %d: UID %d after %d", i+1, m.UID, last)
		}
		last = m.UID
		var c mbox.Content
		c.Reset(w, m)
		n, err := io.Copy(io.Discard, &c)
		if err != nil || n != m.Size {
			t.Fatalf("message %d: %d octets, size %d, %v", i+1, n, m.Size, err)
		}
	}
}

// FuzzRewrite wants a mailbox to have the same messages after it was
// rewritten, but for line ends that were missing at the end of the file.
func FuzzRewrite(f *testing.F) {
	seedFiles(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if ok, err := mbox.Probe(bytes.NewReader(b)); !ok || err != nil {
			return
		}
		env, _ := goldenEnv(t)
		n := putBytes(t, env, "box", b)
		mb := open(t, env, n, mailbox.ReadWrite)
		before := messages(t, mb)
		if err := mb.Store(mailbox.All, mailbox.Add, mailbox.FlagList{System: mailbox.Flagged, Keywords: []string{"$Fuzzed"}}); err != nil &&
			len(mb.Status().Keywords) < mbox.MaxKeywords {
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
		ln, ok := mbox.ParseFrom(b)
		if !ok {
			return
		}
		d, _ := ln.Date(time.UTC)
		if again, ok := mbox.ParseFrom(mbox.AppendFrom(nil, mbox.CleanSender(string(ln.Sender)), d)); !ok {
			t.Fatalf("%q", again)
		}
	})
}
