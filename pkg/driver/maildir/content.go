package maildir

import (
	"errors"
	"fmt"
	"io/fs"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// errRemoved is the error for a message that another program has removed.
var errRemoved = fmt.Errorf("%w: the message was removed", mailbox.ErrChanged)

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
