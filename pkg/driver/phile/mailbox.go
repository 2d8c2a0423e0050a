package phile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

// A file is an open mailbox: one message.
type file struct {
	d      *Driver
	f      *os.File
	name   mailbox.Name
	info   fs.FileInfo // when it was opened
	kind   kind
	header []byte
	msg    mailbox.Message
	text   content
	closed bool
}

var (
	_ mailbox.Mailbox = (*file)(nil)
	_ mailbox.Prover  = (*file)(nil)
)

var errClosed = errors.New("mailbox is closed")

// newMailbox looks at an open file. The caller closes it after an error.
func (d *Driver) newMailbox(ctx context.Context, f *os.File, n mailbox.Name) (*file, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, mailbox.ErrNotMailbox
	}
	k, err := scanAll(ctx, f, fi.Size())
	if err != nil {
		return nil, err
	}
	b := &file{d: d, f: f, name: n, info: fi, kind: k}
	b.header = b.makeHeader()
	b.msg = mailbox.Message{
		Seq: 1, UID: 1, Flags: mailbox.Flags{System: mailbox.Recent},
		Date: mailbox.DateOf(fi.ModTime().In(d.env.Now().Location())),
		Size: int64(len(b.header)) + k.bodySize(fi.Size()),
	}
	return b, nil
}

// makeHeader returns the header with its closing blank line.
func (b *file) makeHeader() []byte {
	var h bytes.Buffer
	date := b.info.ModTime().In(b.d.env.Now().Location())
	fmt.Fprintf(&h, "Date: %s\r\n", date.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	fmt.Fprintf(&h, "From: %s@%s\r\n", owner(b.info), b.d.env.Host)
	fmt.Fprintf(&h, "Subject: %s\r\nMIME-Version: 1.0\r\n", b.name.Path)
	if b.kind.binary {
		fmt.Fprintf(&h, "Content-Type: APPLICATION/OCTET-STREAM; name=%s\r\n", quote(filepath.Base(b.name.Path)))
		h.WriteString("Content-Transfer-Encoding: BASE64\r\n")
	} else {
		fmt.Fprintf(&h, "Content-Type: TEXT/PLAIN; charset=%s\r\n", b.kind.charset())
		if b.kind.eight {
			h.WriteString("Content-Transfer-Encoding: 8BIT\r\n")
		}
	}
	h.WriteString("\r\n")
	return h.Bytes()
}

// quote makes a parameter value of s (RFC 2045, 5.1). Octets above 0x7F pass,
// as in the original.
func quote(s string) string {
	special := func(r rune) bool { return r <= ' ' || r == 0x7F || strings.ContainsRune(`()<>@,;:\"/[]?=`, r) }
	if !strings.ContainsFunc(s, special) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// Status counts one message.
func (b *file) Status() mailbox.Status {
	return mailbox.Status{
		Driver: b.d.Name(), Path: b.name.Path, Messages: 1, Recent: 1, Unseen: 1,
		UIDValidity: max(1, uint32(b.info.ModTime().Unix())), UIDNext: 2, ReadOnly: true,
	}
}

// Messages yields the message, if s has it.
func (b *file) Messages(s mailbox.Set) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		if b.closed {
			yield(mailbox.Message{}, errClosed)
		} else if s.Contains(1) {
			yield(b.msg, nil)
		}
	}
}

// Open streams the message.
func (b *file) Open(seq uint32) (mailbox.Content, error) {
	if b.closed {
		return nil, errClosed
	}
	if seq != 1 {
		return nil, fmt.Errorf("no message %d", seq)
	}
	b.text = content{b: b, w: winread.New(b.f, windowSize, b.info.Size()), head: b.header, end: b.info.Size()}
	return &b.text, nil
}

// Store is refused.
func (b *file) Store(mailbox.Set, mailbox.FlagOp, mailbox.FlagList) error {
	return b.d.fail("store", b.name, mailbox.ErrReadOnly)
}

// Expunge is refused.
func (b *file) Expunge(mailbox.Set) (int, error) {
	return 0, b.d.fail("expunge", b.name, mailbox.ErrReadOnly)
}

// Ping returns ErrChanged where the file is not the one that was opened any
// more: what its message is would have to be found out anew.
func (b *file) Ping() (bool, error) {
	if b.closed {
		return false, errClosed
	}
	fi, err := b.f.Stat()
	if err == nil && (fi.Size() != b.info.Size() || !fi.ModTime().Equal(b.info.ModTime())) {
		err = mailbox.ErrChanged
	}
	if err != nil {
		return false, b.d.fail("ping", b.name, err)
	}
	return false, nil
}

// seed makes digests comparable within this process.
var seed = maphash.MakeSeed()

// Prove digests the octets that the message was made of.
func (b *file) Prove() (mailbox.Proof, error) {
	if b.closed {
		return mailbox.Proof{}, errClosed
	}
	var sum maphash.Hash
	sum.SetSeed(seed)
	n, err := io.Copy(&sum, io.NewSectionReader(b.f, 0, b.info.Size()))
	if err != nil {
		return mailbox.Proof{}, b.d.fail("read", b.name, err)
	}
	fi, err := b.f.Stat()
	if err != nil {
		return mailbox.Proof{}, b.d.fail("read", b.name, err)
	}
	return mailbox.Proof{Size: n, Digest: sum.Sum64(), Now: fi.Size()}, nil
}

// Close closes the file; nothing was written.
func (b *file) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	return b.f.Close()
}
