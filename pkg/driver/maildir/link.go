package maildir

import (
	"hash/maphash"
	"io/fs"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mailutil/pkg/mailbox"
)

var (
	_ mailbox.Linker = (*addition)(nil)
	_ mailbox.Linker = (*newBox)(nil)
)

// Link takes a message of another Maildir with its file, which gets a name here
// as well.
func (a *addition) Link(from mailbox.Mailbox, it mailbox.Item) (mailbox.Altered, bool, error) {
	if a.done {
		return mailbox.Altered{}, false, errDone
	}
	return a.stage.link(from, it, &a.wish)
}

// Link takes a message of another Maildir with its file.
func (b *newBox) Link(from mailbox.Mailbox, it mailbox.Item) (mailbox.Altered, bool, error) {
	if b.done {
		return mailbox.Altered{}, false, errDone
	}
	b.ascends(it.UID)
	return b.stage.link(from, it, &b.wish)
}

// link takes a message with its file, where a new file would be the same. An
// error in making the link, which some file systems cannot and others may not,
// is no error of the delivery: it gets the text then.
func (s *stage) link(from mailbox.Mailbox, it mailbox.Item, w *wish) (a mailbox.Altered, ok bool, err error) {
	b, is := from.(*box)
	if !is || s.failed != nil || !s.canLink() {
		return a, false, s.failed
	}
	st, lost := w.staged(it)
	st.disk, st.crlf = b.plain(it.Seq)
	look, err := b.lookAt(it.Seq)
	if err != nil || look.Size() != st.disk || st.crlf != it.Size || !s.fits(look) || !dateFits(look, it.Date, s.d.env.Now) {
		return a, false, nil
	}
	file := s.tmp(len(s.items))
	if s.direct {
		st.file = st.named(s.names.next(s.d.env.Now()), w.letters)
		file = st.file
	}
	path := s.dir + "/" + file
	if err := b.found(int(it.Seq)-1, func(old string) error { return s.d.fs.Link(old, path) }); err != nil {
		return a, false, nil
	}
	s.items = append(s.items, st)
	b.tookFile(it.Seq, look)
	a.Keywords = lost
	s.failed = overQuota(s.texts.AddPath(path))
	return a, s.failed == nil, s.failed
}

// tookFile notes that another mailbox has the file of a message as well, which was
// seen before that.
func (b *box) tookFile(seq uint32, look fs.FileInfo) {
	b.linked.Add(seq)
	if b.proof != nil {
		b.proof.Know(int(seq)-1, look.Size(), identity(look))
	}
}

// plain is what the name of a message says of its file, which must be so: octets
// and those with CRLF line ends. Where it says nothing that can be, or the text
// is packed, disk is -1.
func (b *box) plain(seq uint32) (disk, crlf int64) {
	e := &b.ix.all[seq-1]
	disk, _ = sizes(b.ix.base(e))
	if e.size < disk || e.size > 2*disk {
		return -1, e.size
	}
	return disk, e.size
}

// lookAt looks at the name that a message has, which may be that of a symbolic
// link.
func (b *box) lookAt(seq uint32) (fi fs.FileInfo, err error) {
	err = b.found(int(seq)-1, func(path string) (err error) {
		fi, err = b.d.fs.Lstat(path)
		return err
	})
	return fi, err
}

// canLink reports whether files of others may do here. What a new one is like
// tells the first message, which is always written.
func (s *stage) canLink() bool {
	if s.like != nil || s.alone || len(s.items) == 0 {
		return s.like != nil
	}
	path := s.dir + "/" + s.tmp(0)
	if s.direct {
		path = s.dir + "/" + s.items[0].file
	}
	fi, err := s.d.fs.Lstat(path)
	if s.alone = err != nil || hasDefaultACL(s.dir+"/tmp"); !s.alone {
		s.like = fi
	}
	return !s.alone
}

// hasDefaultACL reports whether files that are made in a directory get more
// rights than their modes tell.
func hasDefaultACL(dir string) bool {
	n, err := unix.Lgetxattr(dir, "system.posix_acl_default", nil)
	return err == nil && n > 0
}

// fits reports whether a file has the owner, the group and the mode of one that
// is made here, and is on the same file system.
func (s *stage) fits(fi fs.FileInfo) bool {
	is, ok1 := fi.Sys().(*syscall.Stat_t)
	like, ok2 := s.like.Sys().(*syscall.Stat_t)
	return ok1 && ok2 && is.Dev == like.Dev && is.Uid == like.Uid && is.Gid == like.Gid && is.Mode == like.Mode
}

// dateFits reports whether a file has the time that it would get as a message
// of this date.
func dateFits(fi fs.FileInfo, d mailbox.Date, now func() time.Time) bool {
	date, ok := storable(d, now)
	return ok && !d.IsZero() && fi.ModTime().Unix() == date.Unix()
}

// identity stands for the octets of a message whose file another mailbox has as
// well: they are the same as long as it is this file.
func identity(fi fs.FileInfo) uint64 {
	var sum maphash.Hash
	sum.SetSeed(seed)
	for _, n := range []uint64{inode(fi), uint64(fi.Size()), uint64(fi.ModTime().UnixNano())} {
		maphash.WriteComparable(&sum, n)
	}
	return sum.Sum64()
}
