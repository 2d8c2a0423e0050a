package mboxfile

import (
	"bytes"
	"flag"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/mend/damage"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

// own is the damage of these formats.
var own = []damage.Class{
	{Name: "From_ line garbled", Do: func(f *damage.File) { m := f.Msgs[f.Rand(f.Own)]; f.Set(m.Line+8, []byte("\x00\x01 1 Jan")) }},
	{Name: "From_ line without a date", Do: func(f *damage.File) {
		m := f.Msgs[f.Rand(f.Own)]
		f.Cut(m.Line+20, m.Text-m.Line-21)
	}},
	{Name: "X-UID changed", Do: func(f *damage.File) {
		m := f.Msgs[f.Rand(f.Own)]
		if i := bytes.Index(f.Octets[m.Text:m.End], []byte("X-UID: ")); i >= 0 {
			f.Set(m.Text+i+7, []byte("9"))
		}
	}},
	{Name: "X-IMAPbase garbled", Do: func(f *damage.File) {
		if i := bytes.Index(f.Octets, []byte("X-IMAP")); i >= 0 {
			f.Set(bytes.IndexByte(f.Octets[i:], ' ')+i+1, []byte("x"))
		}
	}},
	{Name: "all From_ lines quoted", Do: func(f *damage.File) {
		for k := f.Own - 1; k >= 0; k-- {
			if i := bytes.Index(f.Octets[f.Msgs[k].Line:f.Msgs[k].Text], []byte("From ")); i >= 0 {
				f.Insert(f.Msgs[k].Line+i, []byte(">"))
			}
		}
	}},
	{Name: "X-UID twice", Do: func(f *damage.File) {
		m := f.Msgs[f.Rand(f.Own)]
		if i := bytes.Index(f.Octets[m.Text:m.End], []byte("\nX-UID: ")); i >= 0 {
			f.Insert(m.Text+i+1, []byte("X-UID: 77\n"))
		}
	}},
	{Name: "UIDs descend", Renumbers: true, Do: func(f *damage.File) {
		for k, m := range f.Msgs[:f.Own] {
			if i := bytes.Index(f.Octets[m.Text:m.End], []byte("\nX-UID: ")); i >= 0 {
				f.Set(m.Text+i+8, []byte{byte('9' - k%9)})
			}
		}
	}},
	{Name: "X-Keywords garbled", Do: func(f *damage.File) {
		m := f.Msgs[f.Rand(f.Own)]
		if i := bytes.Index(f.Octets[m.Text:m.End], []byte("\nX-Keywords:")); i >= 0 {
			f.Set(m.Text+i+5, []byte("\x00\xFF"))
		}
	}},
	{Name: "empty line before a From_ line lost", Do: func(f *damage.File) { m := f.Msgs[f.Rand(f.Own-1)]; f.Cut(m.End, 1) }},
	{Name: "NULs before a From_ line", Do: func(f *damage.File) { f.Insert(f.Msgs[1+f.Rand(f.Own-1)].Line, make([]byte, 700)) }},
	{Name: "rewrite interrupted, shifted", Do: func(f *damage.File) { // text moved up by the length of a longer status
		m := f.Msgs[f.Own/2]
		f.Insert(m.Text, []byte("Status: RO\nX-Status: \n"))
		f.Cut(min(m.Text+8192, len(f.Octets)-50), 23)
	}},
	{Name: "rewrite interrupted, file longer", Do: func(f *damage.File) { f.Insert(len(f.Octets), make([]byte, 2000)) }},
	{Name: "none at all", Harmless: true, Do: func(*damage.File) {}},
}

var tries = flag.Int("damages", 1, "how many mailboxes each class of damage is tried on")

// benchOf has the format f.
func benchOf(f mbox.Format) *damage.Bench {
	return &damage.Bench{
		At: func(t testing.TB, home string, fsys fsx.FS) (damage.Driver, mailbox.Name) {
			env, _ := goldenEnv(t)
			env.Home, env.Dir = home, home
			d := New(f, env)
			d.FS = fsys
			return d, mailbox.Name{Text: "box", Path: filepath.Join(home, "box")}
		},
		Index: func(t testing.TB, octets []byte) (out []damage.Message) {
			env, _ := goldenEnv(t)
			w := winread.New(bytes.NewReader(octets), windowSize, int64(len(octets)))
			s := mbox.Scanner{Format: f, Env: env, W: w, Ix: &mbox.Index{}, ReadOnly: true}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			lead := len(f.Lead())
			for _, m := range s.Ix.Msgs {
				out = append(out, damage.Message{Line: int(m.From) - lead, Text: int(m.From) + int(m.Header), End: int(m.End)})
			}
			return out
		},
		UIDs: true, More: slices.Concat(damage.LineEndsLF, own),
	}
}

// innerMail is a message as it stands in a mailbox that somebody forwards: behind
// its From_ line.
const innerMail = "Received: from a by b; Wed, 2 Dec 2020 05:53:22 +0000\r\nFrom: c@d\r\nSubject: inner\r\nMessage-ID: <1@x>\r\n" +
	"Status: RO\r\nX-Status: \r\nX-Keywords:                  \r\nX-UID: 6\r\n\r\nabc\r\n\r\n"

const innerFrom = "From a@b Wed Dec  2 05:53:22 2020 +0000\r\n"

// within are texts that have pieces of mailboxes in them: with From_ lines as they
// are, which unix quotes when it takes them, and quoted, with those of a mailbox in
// mmdf, and with the data of another mailbox. unix takes delimiters, mmdf leaves
// them out.
func within() []string {
	next := strings.NewReplacer("X-UID: 6", "X-UID: 9", "<1@x>", "<2@x>").Replace(innerMail)
	pseudo := "From MAILER-DAEMON Wed Dec  2 05:53:22 2020 +0000\r\nFrom: Mail System Internal Data <MAILER-DAEMON@h>\r\n" +
		"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\nX-IMAP: 1234567890 0000000009 Home\r\nStatus: RO\r\n\r\nThis text is part of the internal format.\r\n\r\n"
	based := strings.Replace(innerMail, "Status: RO", "X-IMAPbase: 1234567890 9 Home\r\nStatus: RO", 1)
	d := strings.ReplaceAll(mbox.Delimiter, "\n", "\r\n")
	var out []string
	for _, piece := range []string{
		innerFrom + innerMail + innerFrom + next,
		">" + innerFrom + innerMail + ">" + innerFrom + next,
		"> " + strings.ReplaceAll(innerFrom+innerMail+innerFrom+next, "\n", "\n> ") + "\r\n",
		d + innerFrom + innerMail + d + d + innerFrom + next + d,
		pseudo + innerFrom + innerMail,
		innerFrom + based + innerFrom + next,
	} {
		out = append(out, "From: me@here\r\nDate: Thu, 3 Dec 2020 05:53:22 +0000\r\nSubject: a mailbox\r\n\r\nHere it is:\r\n\r\n"+piece+"That was it.\r\n")
	}
	return append(out, damage.Forwarded)
}

// TestDamage breaks mailboxes of real mail, and such of which most messages have
// pieces of mailboxes in their text.
func TestDamage(t *testing.T) {
	for _, format := range both {
		t.Run(format.Name(), func(t *testing.T) { benchOf(format).Run(t, *tries) })
		t.Run(format.Name()+" with mailboxes in mail", func(t *testing.T) {
			b := benchOf(format)
			b.Texts, b.Lacks = append(damage.RealMail(t)[:3:3], within()...), 15
			b.Run(t, *tries)
		})
	}
}
