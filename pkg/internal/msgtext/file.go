package msgtext

import (
	"fmt"
	"io"
	"io/fs"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// A File gives a Text the octets of a message that has a file of its own. One
// serves all messages of a mailbox.
type File struct {
	Size  int64 // of the file when it was opened
	MTime time.Time

	f    fsx.File // nil where held is all of it
	from int64    // where the piece begins that was read last
	held []byte   // this piece: a small message is read once, whoever asks
	buf  []byte   // backs held
}

// Use begins with an open file, which is f's from now on.
func (f *File) Use(file fsx.File, fi fs.FileInfo) {
	*f = File{Size: fi.Size(), MTime: fi.ModTime(), f: file, buf: f.buf}
	if f.buf == nil {
		f.buf = make([]byte, pieceSize)
	}
}

// UseRead begins with a file that was read already, to octets.
func (f *File) UseRead(octets []byte, mtime time.Time) {
	*f = File{Size: int64(len(octets)), MTime: mtime, held: octets, buf: f.buf}
}

// Close closes the file that is used.
func (f *File) Close() error {
	f.held = nil
	if f.f == nil {
		return nil
	}
	err := f.f.Close()
	f.f = nil
	return err
}

// Piece is for Text.Piece.
func (f *File) Piece(off, want int64) ([]byte, error) {
	at := off - f.from
	if at < 0 || at >= int64(len(f.held)) {
		if f.f == nil {
			return nil, fs.ErrClosed
		}
		n, err := f.f.ReadAt(f.buf[:min(want, pieceSize)], off)
		if n == 0 && err == io.EOF {
			err = fmt.Errorf("%w: %s became shorter", mailbox.ErrChanged, f.f.Name())
		}
		if n == 0 {
			return nil, err
		}
		f.from, f.held, at = off, f.buf[:n], 0
	}
	p := f.held[at:]
	return p[:min(int64(len(p)), want)], nil
}
