package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"time"

	"mailutil/pkg/internal/crlf"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/readahead"
	"mailutil/pkg/mailbox"
)

// pieceSize is how much of a text is read at a time.
const pieceSize = 128 << 10

// errRemoved is the error for a message that another program has removed.
var errRemoved = fmt.Errorf("%w: the message was removed", mailbox.ErrChanged)

// headPiece is how much is read at a time where only the header is wanted.
const headPiece = 4 << 10

// A content is the text of a message. There is one for a mailbox, used again
// for each message.
type content struct {
	f     fsx.File // nil where held is all of it
	mtime time.Time
	off   int64 // of the next octet on disk
	end   int64
	cr    bool   // the octet before is CR
	out   []byte // converted, not yet read
	from  int64  // where the piece begins that was read last
	held  []byte // this piece: a small message is read once, whoever asks
	head  []byte // nil when not asked for
	sum   *maphash.Hash
	done  func() // called once all octets went into sum

	raw, conv, top []byte // back held, out and head
}

// reset begins with the file f.
func (c *content) reset(f fsx.File, info fs.FileInfo) {
	*c = content{f: f, mtime: info.ModTime(), end: info.Size(), raw: c.raw, conv: c.conv, top: c.top}
	if c.raw == nil {
		c.raw = make([]byte, pieceSize)
	}
}

// resetRead begins with a file that was read already.
func (c *content) resetRead(f readahead.File) {
	*c = content{mtime: f.MTime, end: int64(len(f.Text)), held: f.Text, raw: c.raw, conv: c.conv, top: c.top}
}

// rewind begins anew with the same file.
func (c *content) rewind() {
	c.off, c.cr, c.out, c.sum, c.done = 0, false, nil, nil, nil
}

func (c *content) close() error {
	c.held = nil
	if c.f == nil {
		return nil
	}
	err := c.f.Close()
	c.f = nil
	return err
}

// read gives the octets from off on that are held, or reads at most size.
func (c *content) read(off int64, size int) ([]byte, error) {
	if at := off - c.from; at >= 0 && at < int64(len(c.held)) {
		return c.held[at:], nil
	}
	if c.f == nil {
		return nil, fs.ErrClosed
	}
	n, err := c.f.ReadAt(c.raw[:min(int64(size), c.end-off)], off)
	c.from, c.held = off, c.raw[:n]
	if n > 0 {
		return c.held, nil
	}
	if err == io.EOF {
		err = fmt.Errorf("%w: %s became shorter", mailbox.ErrChanged, c.f.Name())
	}
	return nil, err
}

// fill converts the next piece into c.out; io.EOF at the end.
func (c *content) fill() error {
	if c.off == c.end {
		if c.done != nil {
			c.done()
			c.done = nil
		}
		return io.EOF
	}
	p, err := c.read(c.off, pieceSize)
	if err != nil {
		return err
	}
	if c.sum != nil {
		c.sum.Write(p)
	}
	c.off += int64(len(p))
	c.conv = crlf.Append(c.conv[:0], p, c.cr)
	c.out, c.cr = c.conv, crlf.EndsCR(p, c.cr)
	return nil
}

// Read reads the text.
func (c *content) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(c.out) == 0 {
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

// WriteTo writes what is left of the text.
func (c *content) WriteTo(to io.Writer) (done int64, err error) {
	for {
		if len(c.out) == 0 {
			if err := c.fill(); err == io.EOF {
				return done, nil
			} else if err != nil {
				return done, err
			}
		}
		n, err := to.Write(c.out)
		done += int64(n)
		c.out = c.out[n:]
		if err != nil {
			return done, err
		}
	}
}

// Header returns the header block, at most mailbox.MaxHeader of it.
func (c *content) Header() ([]byte, error) {
	if c.head != nil {
		return c.head, nil
	}
	head, cr := c.top[:0], false
	for off := int64(0); len(head) < mailbox.MaxHeader && off < c.end; {
		p, err := c.read(off, headPiece)
		if err != nil {
			return nil, err
		}
		p = p[:min(len(p), headPiece)]
		seen := max(len(head)-3, 0)
		head = crlf.Append(head, p, cr)
		cr = crlf.EndsCR(p, cr)
		off += int64(len(p))
		if end := headerEnd(head, seen); end > 0 {
			head = head[:end]
			break
		}
	}
	c.top = head[:0]
	c.head = head[:min(len(head), mailbox.MaxHeader)]
	return c.head, nil
}

// headerEnd is the length of a header with its empty line, 0 where h does not
// hold its end. There is none in h[:seen].
func headerEnd(h []byte, seen int) int {
	if bytes.HasPrefix(h, []byte("\r\n")) {
		return 2
	}
	if i := bytes.Index(h[seen:], []byte("\r\n\r\n")); i >= 0 {
		return seen + i + 4
	}
	return 0
}

// openFile opens a message for reading. One that has another name meanwhile is
// found again.
func (b *box) openFile(i int) (fsx.File, fs.FileInfo, error) {
	var f fsx.File
	err := b.found(i, func(path string) (err error) {
		f, err = fsx.OpenQuiet(b.d.fs, path)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: f.Name(), Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, fi, nil
}

// stat looks at the file of a message.
func (b *box) stat(i int) (fi fs.FileInfo, err error) {
	err = b.found(i, func(path string) (err error) {
		fi, err = b.d.fs.Stat(path)
		return err
	})
	return fi, err
}

// found calls do with the path of message i, and again with its new path where
// another program has renamed it.
func (b *box) found(i int, do func(path string) error) error {
	for range maxScans {
		e := &b.ix.all[i]
		if e.bits&bitGone != 0 {
			return errRemoved
		}
		err := do(b.dir + "/" + b.ix.file(e))
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := b.relocate(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s is renamed again and again by another program", b.ix.file(&b.ix.all[i]))
}

// relocate looks where the messages are now that other programs have renamed.
func (b *box) relocate() error {
	find := b.ix.finder()
	seen := make([]bool, len(b.ix.all))
	err := b.d.readMessages(b.dir, func(file string) {
		i := find(baseOf(file))
		if i < 0 || b.ix.all[i].bits&bitTwice != 0 {
			return
		}
		seen[i] = true
		if b.ix.file(&b.ix.all[i]) != file {
			b.ix.setName(&b.ix.all[i], file)
		}
	})
	if err != nil {
		return err
	}
	for i := range seen {
		if e := &b.ix.all[i]; !seen[i] {
			if _, err := b.d.fs.Lstat(b.dir + "/" + b.ix.file(e)); errors.Is(err, fs.ErrNotExist) {
				e.bits |= bitGone
			}
		}
	}
	b.ix.setTable(b.ix.table.slots)
	return nil
}

// finder returns what finds messages by their bases, -1 for none.
func (ix *index) finder() func(base string) int {
	at := make(map[string]int, len(ix.all))
	for i := range ix.all {
		at[string(ix.base(&ix.all[i]))] = i
	}
	return func(base string) int {
		if i, ok := at[base]; ok {
			return i
		}
		return -1
	}
}

// measure counts the octets of the text.
func (c *content) measure() (size int64, err error) {
	size, cr := c.end, false
	for off := int64(0); off < c.end; {
		p, err := c.read(off, pieceSize)
		if err != nil {
			return 0, err
		}
		size += crlf.Added(p, cr)
		cr = crlf.EndsCR(p, cr)
		off += int64(len(p))
	}
	return size, nil
}

var _ mailbox.Content = (*content)(nil)
