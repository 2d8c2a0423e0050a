package mailboxtest

import (
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
)

// A record is one message as a fresh session sees it.
type record struct {
	UID   uint32
	Flags string
	Date  string
	Text  string
}

// String cuts the text to a digest.
func (r record) String() string {
	return fmt.Sprintf("UID %d [%s] %s %d octets %08x %.40q", r.UID, r.Flags, r.Date, len(r.Text), crc32.ChecksumIEEE([]byte(r.Text)), r.Text)
}

// records reads a whole mailbox.
func (b *bench) records(mb mailbox.Mailbox) []record {
	b.Helper()
	var out []record
	for _, m := range b.messages(mb) {
		text := b.text(mb, m.Seq)
		if m.Size != int64(len(text)) {
			b.Errorf("message %d: Size is %d, Open gives %d octets", m.Seq, m.Size, len(text))
		}
		if b.h.Bare || b.h.Numbers { // then UIDs say nothing to another session
			m.UID = 0
		}
		out = append(out, record{m.UID, flagsOf(mb, m), m.Date.String(), text})
	}
	return out
}

// fresh reads a whole mailbox in a session of its own.
func (b *bench) fresh(n mailbox.Name) []record {
	b.Helper()
	mb := b.open(n, mailbox.ReadOnly)
	defer b.close(mb)
	return b.records(mb)
}

// text reads one message.
func (b *bench) text(mb mailbox.Mailbox, seq uint32) string {
	b.Helper()
	c, err := mb.Open(seq)
	if err != nil {
		b.Fatalf("open message %d: %v", seq, err)
	}
	text, err := io.ReadAll(onlyReader{c})
	if err != nil {
		b.Fatalf("read message %d: %v", seq, err)
	}
	return string(text)
}

// onlyReader hides WriteTo.
type onlyReader struct{ io.Reader }

// same compares two lists of records.
func (b *bench) same(what string, got, want []record) {
	b.Helper()
	if slices.Equal(got, want) {
		return
	}
	b.Errorf("%s: got %d messages, want %d", what, len(got), len(want))
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i].String()
		}
		if i < len(want) {
			w = want[i].String()
		}
		if g != w {
			b.Errorf("%s: message %d\n got %s\nwant %s", what, i+1, g, w)
		}
	}
}

// subjects lists the first words of a mailbox.
func subjects(rs []record) string {
	var out []string
	for _, r := range rs {
		s, _, _ := strings.Cut(strings.TrimPrefix(r.Text, "Subject: "), "\r\n")
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// seqs is a set of sequence numbers.
func seqs(ns ...uint32) (s mailbox.Set) {
	for _, n := range ns {
		s.Add(n)
	}
	return s
}

// tree lists every file of the surroundings with its mode and content, to see
// that nothing was changed and nothing is left over.
func (b *bench) tree() string {
	b.Helper()
	var out strings.Builder
	for _, dir := range []string{b.env.Home, filepath.Dir(b.env.Spool), b.env.LockDir, b.env.StateDir} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				if os.IsNotExist(err) {
					err = nil
				}
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, "%s %v", path, info.Mode())
			if info.Mode().IsRegular() {
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				fmt.Fprintf(&out, " %d octets %08x %.60q", len(text), crc32.ChecksumIEEE(text), text)
			}
			fmt.Fprintln(&out)
			return nil
		})
		b.ok("list files", err)
	}
	return out.String()
}

// unchanged compares the files with what tree gave before.
func (b *bench) unchanged(what, before string) {
	b.Helper()
	if after := b.tree(); after != before {
		b.Errorf("%s: files changed\n got %s\nwant %s", what, after, before)
	}
}

func mkdir(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) write(path, text string) {
	b.Helper()
	mkdir(b.T, filepath.Dir(path))
	b.ok("write", os.WriteFile(path, []byte(text), 0o600))
}
