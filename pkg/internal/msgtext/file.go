package msgtext

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/spool"
	"mailutil/pkg/mailbox"
)

// A File gives a Text the octets of a message that has a file of its own. One
// serves all messages of a mailbox.
type File struct {
	Size  int64 // octets of the text
	MTime time.Time

	f    octets // nil where held is all of it
	name string // of the file
	from int64  // where the piece begins that was read last
	held []byte // this piece: a small message is read once, whoever asks
	buf  []byte // backs held
}

// octets are an open file, or what was packed in one.
type octets interface {
	io.ReaderAt
	io.Closer
}

// Use begins with an open file, which is f's from now on.
func (f *File) Use(file fsx.File, fi fs.FileInfo) {
	*f = File{Size: fi.Size(), MTime: fi.ModTime(), f: file, name: file.Name(), buf: f.buf}
}

// UseRead begins with a file that was read already, to text.
func (f *File) UseRead(text []byte, mtime time.Time) {
	*f = File{Size: int64(len(text)), MTime: mtime, held: text, buf: f.buf}
}

// headLen is how much of a file is seen before it is read.
const headLen = 4 << 10

// Unpack goes on with what is packed in the file, if anything is.
func (f *File) Unpack(env *mailbox.Env) error {
	if env.Unpacker == nil || f.Size == 0 {
		return nil
	}
	head, err := f.Piece(0, headLen)
	if err != nil {
		return err
	}
	unpack := env.Unpacker(head)
	if unpack == nil {
		return nil
	}
	packed := Text{Piece: f.Piece}
	packed.Reset(f.Size)
	r, stop, err := unpack(&packed)
	if err != nil {
		return err
	}
	defer stop()
	text := new(spool.Spool)
	if _, err := io.Copy(text, r); err != nil {
		return errors.Join(err, text.Close())
	}
	err = f.Close()
	*f = File{Size: text.Size(), MTime: f.MTime, f: text, name: f.name, buf: f.buf}
	return err
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
		if f.buf == nil {
			f.buf = make([]byte, pieceSize)
		}
		n, err := f.f.ReadAt(f.buf[:min(want, pieceSize)], off)
		if n == 0 && err == io.EOF {
			err = fmt.Errorf("%w: %s became shorter", mailbox.ErrChanged, f.name)
		}
		if n == 0 {
			return nil, err
		}
		f.from, f.held, at = off, f.buf[:n], 0
	}
	p := f.held[at:]
	return p[:min(int64(len(p)), want)], nil
}
