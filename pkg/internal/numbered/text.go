package numbered

import (
	"errors"
	"fmt"
	"io/fs"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/msgtext"
	"mailutil/pkg/mailbox"
)

// Texts streams the messages of a directory, one at a time. Its buffers are
// used again for each.
type Texts struct {
	Dir  Dir
	CRLF bool // the lines on disk end in LF

	// Same reports whether a file still is the message n; nil says always.
	Same func(n uint32, fi fs.FileInfo) bool

	file   msgtext.File
	text   msgtext.Text
	opened uint32 // the message that was measured just now, 0 for none
	proof  *proof // nil: nobody wants to know what was read
}

// OpenQuiet opens message n for reading so that its access time stays, where
// the system lets us. What is no file is fs.ErrNotExist: a fifo does not make
// us wait.
func (d Dir) OpenQuiet(n uint32) (fsx.File, fs.FileInfo, error) {
	path := d.File(n)
	f, err := fsx.OpenQuiet(d.FS, path)
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
	return &t.text, nil
}

func (t *Texts) open(n uint32) error {
	measured := t.opened == n && n > 0
	t.opened = 0
	if measured {
		t.text.Rewind()
		t.proof.watch(&t.text, n)
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
	t.file.Use(f, fi)
	t.text.Piece, t.text.LF = t.file.Piece, t.CRLF
	t.text.Reset(fi.Size())
	t.proof.watch(&t.text, n)
	return nil
}

// Close closes the message that is open.
func (t *Texts) Close() error {
	t.opened = 0
	return t.file.Close()
}

// Measure returns how many octets message n has when it is read. Who opens it
// next need not wait for the disk again.
func (t *Texts) Measure(n uint32) (int64, error) {
	if err := t.open(n); err != nil {
		return 0, err
	}
	size, err := t.text.Measure()
	if err == nil {
		t.opened = n
	}
	return size, err
}
