package fsx

import "io"

// writerSize is how much a Writer writes at once.
const writerSize = 1 << 20

// A Writer writes a file front to back in large pieces. While the system takes
// one, the next is made: two cores share the work of a large copy.
type Writer struct {
	to     io.WriterAt
	off    int64 // where buf goes
	buf    []byte
	spare  []byte
	flying chan error // result of the piece on its way, nil when there is none
}

// NewWriter returns a Writer that begins at the start of a file.
func NewWriter(to io.WriterAt) *Writer {
	return &Writer{to: to, buf: make([]byte, 0, writerSize)}
}

// Write adds octets. An error may be that of an earlier piece.
func (w *Writer) Write(p []byte) (int, error) {
	for done := 0; ; {
		n := min(len(p)-done, cap(w.buf)-len(w.buf))
		w.buf = append(w.buf, p[done:done+n]...)
		if done += n; done == len(p) {
			return done, nil
		}
		if err := w.send(); err != nil {
			return done, err
		}
	}
}

// send has the buffer written and goes on with the other.
func (w *Writer) send() error {
	if err := w.wait(); err != nil {
		return err
	}
	if w.spare == nil {
		w.spare = make([]byte, 0, writerSize)
	}
	piece, off, result := w.buf, w.off, make(chan error, 1)
	w.buf, w.spare, w.flying = w.spare[:0], piece, result
	w.off += int64(len(piece))
	go func() {
		_, err := w.to.WriteAt(piece, off)
		result <- err
	}()
	return nil
}

func (w *Writer) wait() error {
	if w.flying == nil {
		return nil
	}
	err := <-w.flying
	w.flying = nil
	return err
}

// Flush writes what is left and waits for all of it.
func (w *Writer) Flush() error {
	if err := w.wait(); err != nil {
		return err
	}
	n, err := w.to.WriteAt(w.buf, w.off)
	w.off += int64(n)
	w.buf = w.buf[:0]
	return err
}

// Stop waits for what is on its way and forgets the rest.
func (w *Writer) Stop() { w.wait() }
