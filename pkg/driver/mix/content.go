package mix

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

const windowSize = 1 << 20

// A data reads data files through a window. One file is open at a time.
type data struct {
	h    *hold
	f    fsx.File // nil for none
	file uint32   // its number

	buf  []byte
	base int64 // offset in the file of buf[0]
	n    int   // octets in buf
}

// use opens data file number file.
func (w *data) use(file uint32) error {
	if w.f != nil && w.file == file {
		return nil
	}
	if err := w.close(); err != nil {
		return err
	}
	f, err := w.h.d.open(filepath.Join(w.h.dir, dataName(file)), os.O_RDONLY)
	if err != nil {
		return err
	}
	w.f, w.file = f, file
	return nil
}

// close closes the data file, of which the window is forgotten.
func (w *data) close() error {
	w.n = 0
	if w.f == nil {
		return nil
	}
	f := w.f
	w.f = nil
	return f.Close()
}

// at returns octets of data file number file from offset off on, at least one
// and at most need. They are valid until the next call.
func (w *data) at(file uint32, off, need int64) ([]byte, error) {
	if err := w.use(file); err != nil {
		return nil, err
	}
	if i := off - w.base; i < 0 || i >= int64(w.n) {
		if err := w.fill(off, need); err != nil {
			return nil, err
		}
	}
	p := w.buf[off-w.base : w.n]
	return p[:min(int64(len(p)), need)], nil
}

// fill reads octets from off on: need, or as many as fit where reading goes on
// from where the window ended, or begins with the file.
func (w *data) fill(off, need int64) error {
	if w.buf == nil {
		w.buf = make([]byte, windowSize)
	}
	end := w.base + int64(w.n)
	buf := w.buf
	if inOrder := off == 0 || w.n > 0 && off >= end && off <= end+2*tokenLen; !inOrder {
		buf = buf[:min(int64(len(buf)), max(need, 4<<10))]
	}
	w.n = 0
	n, err := w.f.ReadAt(buf, off)
	if n > 0 {
		w.base, w.n = off, n
		return nil
	}
	if err == io.EOF {
		return fmt.Errorf("%w: %s became shorter", mailbox.ErrChanged, dataName(w.file))
	}
	return err
}

// Open streams message seq.
func (b *box) Open(seq uint32) (mailbox.Content, error) {
	if err := b.open(seq); err != nil {
		return nil, b.d.fail("read", b.name, err)
	}
	return &b.text, nil
}

func (b *box) open(seq uint32) error {
	if b.hold == nil {
		return os.ErrClosed
	}
	if seq == 0 || seq > uint32(len(b.view)) {
		return fmt.Errorf("no message %d", seq)
	}
	b.opened, b.seq = b.view[seq-1], seq
	b.text.Piece = b.piece
	b.text.Reset(b.opened.size)
	return b.checkToken(&b.opened)
}

// checkToken compares the line in front of a message with what the index says.
func (b *box) checkToken(m *message) error {
	line := make([]byte, 0, 2*tokenLen)
	for want := int64(m.lead); int64(len(line)) < min(want, int64(cap(line))); {
		p, err := b.data.at(m.file, m.pos+int64(len(line)), want-int64(len(line)))
		if err != nil {
			return err
		}
		line = append(line, p[:min(len(p), cap(line)-len(line))]...)
	}
	t, length, ok := parseToken(line)
	if !ok || t.uid != m.uid || length != int(m.lead) {
		first, _, _ := bytes.Cut(line, []byte("\r"))
		return corrupt(dataName(m.file), m.pos, "Error reading mix message header, uid=%x, s=%x, h=%.100s", m.uid, m.size, first)
	}
	if t.size != m.size {
		b.warn(fmt.Sprintf("Inconsistency in mix message size, uid=%x (%d != %d)", m.uid, m.size, t.size))
	}
	return nil
}

// piece gives octets of the text that is open.
func (b *box) piece(off, want int64) ([]byte, error) {
	if b.hold == nil {
		return nil, os.ErrClosed
	}
	m := &b.opened
	p, err := b.data.at(m.file, m.text()+off, want)
	if err == nil && b.wit != nil {
		if err = b.wit.see(b.seq, off, p); err == nil { // which may have moved the window
			p, err = b.data.at(m.file, m.text()+off, want)
		}
	}
	if err != nil {
		return nil, b.d.fail("read", b.name, err)
	}
	return p, nil
}
