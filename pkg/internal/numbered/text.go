package numbered

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sort"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/msgtext"
	"mailutil/pkg/internal/readahead"
	"mailutil/pkg/mailbox"
)

// Texts streams the messages of a directory, one at a time. Its buffers are
// used again for each.
type Texts struct {
	Dir  Dir
	CRLF bool // the lines on disk end in LF

	// Same reports whether a file still is the message n; nil says always: nobody
	// writes to one.
	Same func(n uint32, fi fs.FileInfo) bool

	// At returns the number of message i, which ascends from 0 on, and 0 behind
	// the last one: messages that are read in this order are read ahead. Forget is
	// to be called when it tells otherwise.
	At func(i int) uint32

	file   msgtext.File
	text   msgtext.Text
	opened uint32            // the message that was measured just now, 0 for none
	proof  *proof            // nil: nobody wants to know what was read
	ahead  *readahead.Reader // made when the first message is opened
	last   int               // the message that was asked for last, as At counts
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
	if err := t.use(n); err != nil {
		return err
	}
	t.text.Piece, t.text.LF = t.file.Piece, t.CRLF
	t.text.Reset(t.file.Size)
	t.proof.watch(&t.text, n)
	return nil
}

// use makes the file that of message n.
func (t *Texts) use(n uint32) error {
	if f, ok := t.wasRead(n); ok {
		t.file.UseRead(f.Text, f.MTime)
		return nil
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
	return nil
}

// wasRead gives message n where it was read ahead, and is the same still.
func (t *Texts) wasRead(n uint32) (f readahead.File, ok bool) {
	if t.At == nil {
		return f, false
	}
	if t.ahead == nil {
		t.ahead = readahead.New(func(i int) string {
			if n := t.At(i); n > 0 {
				return t.Dir.File(n)
			}
			return ""
		})
	}
	i := t.last + 1
	if t.At(i) != n {
		i = sort.Search(math.MaxInt32, func(i int) bool { at := t.At(i); return at == 0 || at >= n })
	}
	if t.At(i) != n {
		return f, false
	}
	t.last = i
	if f, ok = t.ahead.Take(i); !ok || t.Same == nil {
		return f, ok
	}
	fi, err := t.Dir.FS.Stat(t.Dir.File(n))
	return f, err == nil && f.Is(fi) && t.Same(n, fi)
}

// peek gives message i, as At counts, where it was read ahead.
func (t *Texts) peek(i int) (f readahead.File, ok bool) {
	if t.ahead == nil {
		return f, false
	}
	return t.ahead.Peek(i)
}

// Forget forgets what was read ahead.
func (t *Texts) Forget() {
	t.opened = 0
	if t.ahead != nil {
		t.ahead.Reset()
	}
}

// Close closes the message that is open. Who has set At calls Forget as well, at
// the end.
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
