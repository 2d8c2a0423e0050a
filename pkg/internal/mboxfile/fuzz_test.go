package mboxfile

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

func seedFiles(f *testing.F) {
	var names []string
	for _, format := range both {
		more, err := filepath.Glob(filepath.Join(goldenDir(format), "*.m*"))
		if err != nil || len(more) == 0 {
			f.Fatal("no golden files: ", err)
		}
		names = append(names, more...)
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
			format := formatOf(b)
			s := mbox.Scanner{Format: format, Env: env, W: w, Ix: p.ix}
			if ok, err := format.Probe(bytes.NewReader(b)); !ok || err != nil {
				return
			}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			checkExtents(t, format, p.ix, b, w)
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

func checkExtents(t *testing.T, f mbox.Format, ix *mbox.Index, b []byte, w *winread.Window) {
	all := ix.Msgs
	if ix.Pseudo {
		all = append([]mbox.Message{ix.Internal}, all...)
	}
	end := int64(len(b))
	for i := len(all) - 1; i >= 0; i-- {
		m := all[i]
		between := ""
		if m.End <= end {
			between = string(b[m.End:end])
		}
		if m.From+int64(m.Header) > m.Body || m.Body > m.End || m.End > end || !isBetween(f, between) {
			t.Fatalf("message %d: from %d, body %d, end %d, but the next begins at %d", i+1, m.From, m.Body, m.End, end)
		}
		end = m.From
	}
	if f == mbox.Unix && len(bytes.TrimLeft(b[:end], "\r\n \t")) > 0 || f == mbox.MMDF && !isBetween(f, string(b[:end])) {
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

// isBetween reports whether that may stand between two messages.
func isBetween(f mbox.Format, text string) bool {
	if f == mbox.Unix {
		return len(text) <= 2
	}
	return strings.ReplaceAll(text, mbox.Delimiter, "") == "" || strings.ReplaceAll(text+"\n", mbox.Delimiter, "") == ""
}

// FuzzRewrite wants a mailbox to have the same messages after it was
// rewritten, but for line ends that were missing at the end of the file, or of
// a header.
func FuzzRewrite(f *testing.F) {
	seedFiles(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if ok, err := formatOf(b).Probe(bytes.NewReader(b)); !ok || err != nil {
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
			// Line ends that are missing at the end, or behind a header.
			grows := i == len(after)-1 || formatOf(b) == mbox.MMDF && after[i].Size > before[i].Size
			if before[i].SHA256 != after[i].SHA256 && !grows || before[i].UID != after[i].UID {
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
