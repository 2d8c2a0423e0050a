package mailboxtest

import (
	"errors"
	"os"

	"mailutil/pkg/mailbox"
)

// testForeign wants a file of another format to be left alone.
func testForeign(b *bench) {
	if b.h.Foreign == "" {
		b.Skip("no file is foreign")
	}
	own, _ := b.some("own")
	n := b.name("foreign")
	b.write(n.Path, b.h.Foreign)
	before := b.tree()
	refused := func(what string, err, want error) {
		b.Helper()
		if !errors.Is(err, want) {
			b.Errorf("%s a foreign file: got %v, want %v", what, err, want)
		}
		b.unchanged(what+" a foreign file", before)
		b.write(n.Path, b.h.Foreign) // for the next
	}
	for _, mode := range []mailbox.Mode{mailbox.ReadOnly, mailbox.ReadWrite} {
		mb, err := b.d.Open(ctx, n, mode)
		if err == nil {
			mb.Close()
		}
		refused("open", err, mailbox.ErrFormat)
	}
	if d, ok := b.d.(mailbox.Creator); ok {
		refused("create over", d.Create(ctx, n), mailbox.ErrExist)
	}
	if d, ok := b.d.(mailbox.Renamer); ok {
		refused("rename to", d.Rename(ctx, own, n), mailbox.ErrExist)
	}
	if d, ok := b.d.(mailbox.Deleter); ok {
		refused("delete", d.Delete(ctx, n), mailbox.ErrFormat)
	}
	if d, ok := b.d.(mailbox.Appender); ok {
		for _, o := range []mailbox.AppendOptions{{}, {New: true}} {
			del, err := d.Append(ctx, n, o)
			if err == nil {
				if _, err = del.Add(letterOf("x")); err == nil {
					_, err = del.Commit()
				}
				b.ok("abort", del.Abort())
			}
			refused("append to", err, map[bool]error{false: mailbox.ErrFormat, true: mailbox.ErrExist}[o.New])
		}
	}
}

// testSameFile wants a mailbox to stay the file that it is: others may have it
// open, or reach it by another name.
func testSameFile(b *bench) {
	n, _ := b.some("box")
	before, err := os.Lstat(n.Path)
	if n.Path == "" || err != nil || !before.Mode().IsRegular() {
		b.Skip("mailboxes are not files")
	}
	other, link := b.name("other"), b.name("link")
	b.ok("link", os.Link(n.Path, other.Path))
	b.ok("symlink", os.Symlink("box", link.Path))
	b.ok("chmod", os.Chmod(n.Path, 0o640))
	check := func(what string) {
		b.Helper()
		for _, at := range []mailbox.Name{n, other, link} {
			fi, err := os.Stat(at.Path)
			b.ok("stat", err)
			if !os.SameFile(fi, before) || fi.Mode().Perm() != 0o640 {
				b.Fatalf("%s: %s is another file now, or has mode %v", what, at.Text, fi.Mode())
			}
		}
		if fi, err := os.Lstat(link.Path); err != nil || fi.Mode()&os.ModeSymlink == 0 {
			b.Fatalf("%s: the symbolic link is gone: %v, %v", what, fi, err)
		}
	}
	for _, at := range []mailbox.Name{n, other, link} {
		b.fill(at, "four")
		check("append to " + at.Text)
		mb := b.open(at, mailbox.ReadWrite)
		b.ok("store", mb.Store(mailbox.All, mailbox.Replace, mailbox.FlagList{System: mailbox.Flagged}))
		check("store in " + at.Text)
		_, err := mb.Expunge(mailbox.One(1))
		b.ok("expunge", err)
		b.close(mb)
		check("expunge in " + at.Text)
	}
	if got := subjects(b.fresh(n)); got != "four four four" {
		b.Errorf("afterwards: got %s, want four four four", got)
	}
	mb := b.open(link, mailbox.ReadWrite)
	_, err = mb.Expunge(mailbox.All)
	b.ok("expunge all", err)
	b.close(mb)
	check("expunge all")
}
