package numbered

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"mailutil/pkg/internal/crlf"
	"mailutil/pkg/mailbox"
)

// pieceSize is how much of a text is read at a time.
const pieceSize = 128 << 10

// Texts streams the messages of a directory, one at a time. Its buffers are
// used again for each.
type Texts struct {
	Dir  Dir
	CRLF bool // the lines on disk end in LF

	// Same reports whether a file still is the message n; nil says always.
	Same func(n uint32, fi fs.FileInfo) bool

	c     content
	proof *proof // nil: nobody wants to know what was read
}

// OpenQuiet opens message n for reading so that its access time stays, where
// the system lets us. What is no file is fs.ErrNotExist: a fifo does not make
// us wait.
func (d Dir) OpenQuiet(n uint32) (*os.File, fs.FileInfo, error) {
	path := d.File(n)
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|noAtime, 0)
	if noAtime != 0 && errors.Is(err, syscall.EPERM) { // not our file
		f, err = os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}
	if err != nil {
		return nil, nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, fi, nil
}

// Open streams message n. The Content is valid until the next call.
func (t *Texts) Open(n uint32) (mailbox.Content, error) {
	if err := t.open(n); err != nil {
		return nil, err
	}
	return &t.c, nil
}

func (t *Texts) open(n uint32) error {
	if c := &t.c; c.f != nil && c.fresh && c.n == n { // it was measured just now
		c.fresh, c.off, c.cr, c.out = false, 0, false, nil
		return nil
	}
	if err := t.Close(); err != nil {
		return err
	}
	f, fi, err := t.Dir.OpenQuiet(n)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: message %d was removed", mailbox.ErrChanged, n)
	}
	if err != nil {
		return err
	}
	if t.Same != nil && !t.Same(n, fi) {
		return errors.Join(fmt.Errorf("%w: message %d is another one", mailbox.ErrChanged, n), f.Close())
	}
	t.c = content{f: f, n: n, end: fi.Size(), crlf: t.CRLF, raw: t.c.raw, conv: t.c.conv, head: t.c.head[:0], hbuf: t.c.hbuf, watch: t.proof.watch(n, fi.Size())}
	return nil
}

// Close closes the message that is open.
func (t *Texts) Close() error {
	if t.c.f == nil {
		return nil
	}
	err := t.c.f.Close()
	t.c.f = nil
	return err
}

// Measure returns how many octets message n has when it is read. Who opens it
// next need not wait for the disk again.
func (t *Texts) Measure(n uint32) (int64, error) {
	if err := t.open(n); err != nil {
		return 0, err
	}
	c := &t.c
	size, cr := c.end, false
	for c.off < c.end && c.crlf {
		p, err := c.read(c.off)
		if err != nil {
			return 0, err
		}
		size += crlf.Added(p, cr)
		cr = crlf.EndsCR(p, cr)
		c.off += int64(len(p))
	}
	c.fresh = true
	return size, nil
}

// A content is the text of one message.
type content struct {
	f     *os.File
	n     uint32
	off   int64 // of the next octet on disk
	end   int64
	crlf  bool
	fresh bool   // it was measured, and nothing was read yet
	all   int    // how many octets of raw are the whole file, 0 where they are not
	cr    bool   // the octet before is CR
	out   []byte // not yet read
	raw   []byte
	conv  []byte // backs out where it is converted
	head  []byte
	hbuf  []byte // conv while a header is read
	watch watch
}

// read reads a piece of the file.
func (c *content) read(off int64) ([]byte, error) {
	if c.raw == nil {
		c.raw = make([]byte, pieceSize)
	}
	if c.f == nil {
		return nil, os.ErrClosed
	}
	if c.all > 0 {
		return c.raw[off:c.all], nil
	}
	n, err := c.f.ReadAt(c.raw[:min(pieceSize, c.end-off)], off)
	if int64(n) == c.end {
		c.all = n
	}
	if n > 0 {
		return c.raw[:n], nil
	}
	if err == io.EOF {
		err = fmt.Errorf("%w: %s became shorter", mailbox.ErrChanged, c.f.Name())
	}
	return nil, err
}

// fill takes the next piece to c.out; io.EOF at the end.
func (c *content) fill() error {
	if c.off == c.end {
		return io.EOF
	}
	p, err := c.read(c.off)
	if err != nil {
		return err
	}
	c.watch.saw(p, c.off, c.end)
	c.off += int64(len(p))
	c.out = p
	if c.crlf {
		c.conv = crlf.Append(c.conv[:0], p, c.cr)
		c.out = c.conv
		c.cr = crlf.EndsCR(p, c.cr)
	}
	return nil
}

// Read reads the text.
func (c *content) Read(p []byte) (int, error) {
	if len(c.out) == 0 && len(p) > 0 {
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

// Header returns the header block, which ends with the first empty line.
func (c *content) Header() ([]byte, error) {
	if len(c.head) > 0 {
		return c.head, nil
	}
	if !c.crlf { // out is in raw, which is used again
		c.off -= int64(len(c.out))
		c.out = nil
	}
	h := content{f: c.f, end: c.end, crlf: c.crlf, all: c.all, raw: c.raw, conv: c.hbuf}
	defer func() { c.all, c.raw, c.hbuf = h.all, h.raw, h.conv }()
	for len(c.head) < mailbox.MaxHeader {
		err := h.fill()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		seen := max(len(c.head)-3, 0) // the end may lie across
		c.head = append(c.head, h.out[:min(len(h.out), mailbox.MaxHeader-len(c.head))]...)
		if n := headerEnd(c.head, seen); n > 0 {
			c.head = c.head[:n]
			break
		}
	}
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
