package mbx

import (
	"context"
	"errors"
	"io"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// A newDelivery fills a mailbox that nobody sees before Commit.
type newDelivery struct {
	d     *Driver
	n     mailbox.Name
	f     *fsx.NewFile
	block block
	out   fileWriter
	rec   *recorder
}

func (d *Driver) appendNew(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (*newDelivery, error) {
	f, err := d.createNew(ctx, n)
	if err != nil {
		return nil, err
	}
	t := &newDelivery{d: d, n: n, f: f, block: d.newBlock()}
	if o.UIDValidity != 0 {
		t.block.validity = o.UIDValidity
	}
	// Room for the block, of which the keywords come last.
	t.out = fileWriter{to: f, buf: make([]byte, windowSize), n: blockSize}
	t.rec = newRecorder(d, &t.out, &t.block, o, f.Name())
	return t, nil
}

// Add adds a message.
func (t *newDelivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	a, err := t.rec.add(it)
	return a, t.d.fail("append", t.n, err)
}

// Commit makes the mailbox appear.
func (t *newDelivery) Commit() (mailbox.UIDs, error) {
	t.block.uidLast = max(t.block.uidLast, t.rec.last)
	err := t.rec.broken
	if err == nil {
		err = t.out.flush()
	}
	if err == nil {
		err = writeBlock(t.f, &t.block)
	}
	if err == nil {
		err = t.f.Publish()
	}
	if err := errors.Join(err, t.f.Abort()); err != nil {
		return mailbox.UIDs{}, t.d.fail("append", t.n, err)
	}
	if t.rec.first == 0 {
		return mailbox.UIDs{}, nil
	}
	return mailbox.UIDs{Validity: t.block.validity, First: t.rec.first, Last: t.rec.last}, nil
}

// Abort removes what was written.
func (t *newDelivery) Abort() error { return t.d.fail("append", t.n, t.f.Abort()) }

// A fileWriter writes a file from its start, in pieces of its buffer.
type fileWriter struct {
	to  io.WriterAt
	buf []byte
	n   int   // octets in buf
	off int64 // where they go
}

func (w *fileWriter) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		if w.n == len(w.buf) {
			if err := w.flush(); err != nil {
				return done, err
			}
		}
		n := copy(w.buf[w.n:], p[done:])
		w.n += n
		done += n
	}
	return len(p), nil
}

func (w *fileWriter) flush() error {
	_, err := w.to.WriteAt(w.buf[:w.n], w.off)
	w.off += int64(w.n)
	w.n = 0
	return err
}
