package mboxfile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/mailbox"
)

// What the original gets wrong, and we do not.

const anyFrom = "From a@b Thu Jan  2 03:04:05 2020 +0000\n"

// flagAll changes every message, so that all of the file is rewritten, and
// returns the messages before and after.
func flagAll(t *testing.T, env *mailbox.Env, n mailbox.Name) (before, after []goldenMessage) {
	t.Helper()
	mb := open(t, env, n, mailbox.ReadWrite)
	before = messages(t, mb)
	if err := mb.Store(mailbox.All, mailbox.Add, mailbox.FlagList{System: mailbox.Flagged}); err != nil {
		t.Fatal(err)
	}
	if err := mb.Close(); err != nil {
		t.Fatal(err)
	}
	mb = open(t, env, n, mailbox.ReadOnly)
	defer mb.Close()
	return before, messages(t, mb)
}

func TestLongFromLine(t *testing.T) {
	env, _ := goldenEnv(t)
	long := "From " + strings.Repeat("x", 70_000) + strings.TrimPrefix(anyFrom, "From a@b")
	n := putBytes(t, env, "box", []byte(anyFrom+"Subject: 1\n\none\n\n"+long+"Subject: 2\n\ntwo\n\n"))
	before, after := flagAll(t, env, n)
	if len(before) != 2 || len(after) != 2 || after[1].SHA256 != before[1].SHA256 {
		t.Errorf("was %+v, is %+v", before, after)
	}
	b, _ := os.ReadFile(n.Path)
	if !strings.Contains(string(b), long) {
		t.Error("the From_ line was changed")
	}
}

func TestUIDsUsedUp(t *testing.T) {
	env, log := goldenEnv(t)
	n := putBytes(t, env, "box", []byte(anyFrom+"Subject: 1\nX-IMAPbase: 1600000000 4294967295\nX-UID: 7\n\none\n\n"+
		anyFrom+"Subject: 2\n\ntwo\n\n"))
	_, after := flagAll(t, env, n)
	if len(after) != 2 || after[0].UID != 1 || after[1].UID != 2 {
		t.Errorf("got %+v", after)
	}
	mb := open(t, env, n, mailbox.ReadOnly)
	defer mb.Close()
	if st := mb.Status(); st.UIDValidity != 1700000000 {
		t.Errorf("UIDVALIDITY %d: it did not change with the UIDs", st.UIDValidity)
	}
	if len(*log) == 0 {
		t.Error("nobody was told")
	}
}

func TestNumbersTooLarge(t *testing.T) {
	env, _ := goldenEnv(t)
	n := putBytes(t, env, "box", []byte(anyFrom+"Subject: 1\nX-IMAPbase: 99999999999 1\nX-UID: 99999999999999999999\n\none\n\n"))
	_, after := flagAll(t, env, n)
	if len(after) != 1 || after[0].UID != 1 {
		t.Errorf("got %+v", after)
	}
}

func TestPseudoMessageNeedsMoreThanXIMAP(t *testing.T) {
	env, _ := goldenEnv(t)
	n := putBytes(t, env, "box", []byte(anyFrom+"Subject: real\nX-IMAP: 5 6\n\nreal\n\n"+anyFrom+"Subject: 2\n\ntwo\n\n"))
	before, after := flagAll(t, env, n)
	if len(before) != 2 || len(after) != 2 || before[0].SHA256 != after[0].SHA256 {
		t.Errorf("was %+v, is %+v", before, after)
	}
}

func TestNoForging(t *testing.T) {
	env, _ := goldenEnv(t)
	n := putBytes(t, env, "box", []byte(anyFrom+"Subject: 1\nX-IMAPbase: 1600000000 1\nX-UID: 1\n\none\n\n"))
	forged := "X-Mailer: q\r\nStatus: RO\r\nX-Status: F\r\nx-keywords: k\r\nX-UID: 50\r\nX-IMAPbase: 1 99\r\nX-IMAP : 1 99\r\n\r\nbody\r\n"
	d, err := New(mbox.Unix, env).Append(context.Background(), n, mailbox.AppendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Abort()
	a, err := d.Add(mailbox.Item{Message: mailbox.Message{Size: -1}, Text: strings.NewReader(forged)})
	if err != nil || a.RenamedHeaders != 6 {
		t.Errorf("%+v, %v; want 6 headers renamed", a, err)
	}
	if _, err := d.Commit(); err != nil {
		t.Fatal(err)
	}
	mb := open(t, env, n, mailbox.ReadOnly)
	defer mb.Close()
	got := messages(t, mb)
	if len(got) != 2 || got[1].UID != 2 || fmt.Sprint(got[1].Flags) != `[\Recent]` {
		t.Errorf("got %+v", got)
	}
	want := strings.NewReplacer("Status: R", "X-Original-Status: R", "X-Status: F", "X-Original-X-Status: F",
		"x-keywords", "X-Original-x-keywords", "X-UID", "X-Original-X-UID", "X-IMAP", "X-Original-X-IMAP").Replace(forged)
	if s := string(text(t, mb, 2)); s != want {
		t.Errorf("text %q, want %q", s, want)
	}
}

// Programs tell new mail by comparing the times of a mailbox.
func TestTimes(t *testing.T) {
	now := time.Unix(1700000000, 0)
	old := time.Unix(1699999950, 0) // as putBytes leaves it
	settled := anyFrom + "Subject: 1\nX-IMAPbase: 1600000000 1\nStatus: O\nX-Status: \nX-Keywords:        \nX-UID: 1\n\none\n\n"
	for _, tt := range []struct {
		name         string
		do           func(t *testing.T, env *mailbox.Env, n mailbox.Name)
		mtime, atime time.Time
	}{
		{"read-only", func(t *testing.T, env *mailbox.Env, n mailbox.Name) {
			mb := open(t, env, n, mailbox.ReadOnly)
			messages(t, mb)
			mb.Close()
		}, old, old},
		{"nothing to write", func(t *testing.T, env *mailbox.Env, n mailbox.Name) {
			open(t, env, n, mailbox.ReadWrite).Close()
		}, old, now},
		{"rewritten", func(t *testing.T, env *mailbox.Env, n mailbox.Name) { flagAll(t, env, n) }, now.Add(-time.Second), now},
		{"appended", func(t *testing.T, env *mailbox.Env, n mailbox.Name) {
			if err := adding(mailbox.AppendOptions{}, mailbox.Flags{})(New(mbox.Unix, env), n); err != nil {
				t.Fatal(err)
			}
		}, now, now.Add(-time.Second)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env, _ := goldenEnv(t)
			n := putBytes(t, env, "box", []byte(settled))
			tt.do(t, env, n)
			fi, err := os.Stat(n.Path)
			if err != nil {
				t.Fatal(err)
			}
			if atime := accessTime(fi); !fi.ModTime().Equal(tt.mtime) || !atime.Equal(tt.atime) && !atime.IsZero() {
				t.Errorf("mtime %v, atime %v; want %v, %v", fi.ModTime().Unix(), atime.Unix(), tt.mtime.Unix(), tt.atime.Unix())
			}
		})
	}
}

// The file of a mailbox stays the same one whatever is done to its messages.
func TestInodeStays(t *testing.T) {
	env, _ := goldenEnv(t)
	n := put(t, env, "native-flags-append.mbox")
	before, err := os.Stat(n.Path)
	if err != nil {
		t.Fatal(err)
	}
	mb := open(t, env, n, mailbox.ReadWrite)
	if _, err := mb.Expunge(mailbox.Range(2, 4)); err != nil {
		t.Fatal(err)
	}
	if err := mb.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(n.Path)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("another file, %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(env.Home, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// What was read in any order is what is there, unless somebody writes to it.
func TestWitness(t *testing.T) {
	env, _ := goldenEnv(t)
	n := put(t, env, "native-flags-append.mbox")
	b := open(t, env, n, mailbox.ReadOnly).(*box)
	defer b.Close()
	read := func() mailbox.Proof {
		t.Helper()
		b.Witness()
		for _, seq := range []uint32{5, 2, 2, 7} {
			text(t, b, seq)
		}
		p, err := b.Witnessed()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	was := read()
	now, err := b.Prove()
	if err != nil || now.Digest != was.Digest || now.Size != was.Size {
		t.Fatalf("read %+v, is %+v, %v", was, now, err)
	}
	f, err := os.OpenFile(n.Path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("X"), 400); err != nil {
		t.Fatal(err)
	}
	if now, err := b.Prove(); err != nil || now.Digest == was.Digest {
		t.Errorf("a change went unseen, %v", err)
	}
	if read().Digest == was.Digest {
		t.Error("a change that was read went unseen")
	}
}
