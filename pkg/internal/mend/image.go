// Package mend gives a file a new content that is made of pieces of the old
// one: it shows the result before anything is written, keeps the original, sets
// aside what has no place in the result, and replaces the content in place.
package mend

import (
	"io"
	"sort"

	"mailutil/pkg/internal/journal"
)

// A source of octets of an Image.
type source uint8

const (
	old     source = iota // the file itself
	scratch               // what was made of octets of the file
	fresh                 // new octets
)

// A piece is some octets of an Image, from one source.
type piece struct {
	at   int64 // in the image
	off  int64 // in the source
	from source
}

// An Image is the content that a file is to have. It needs room for its pieces
// only, and octets that stay together are one piece.
type Image struct {
	file    io.ReaderAt
	scratch io.ReaderAt
	lits    []byte
	pieces  []piece
	size    int64
	oldSize int64
}

// NewImage returns an empty image for the file, which has size octets.
func NewImage(file io.ReaderAt, size int64) *Image { return &Image{file: file, oldSize: size} }

// Source sets where the octets of Keep come from.
func (m *Image) Source(r io.ReaderAt) { m.file = r }

// Scratch sets where the octets of KeepScratch come from.
func (m *Image) Scratch(r io.ReaderAt) { m.scratch = r }

// Keep adds n octets of the file, from off on.
func (m *Image) Keep(off, n int64) { m.add(old, off, n) }

// KeepScratch adds n octets of the scratch file.
func (m *Image) KeepScratch(off, n int64) { m.add(scratch, off, n) }

// Put adds new octets.
func (m *Image) Put(b []byte) {
	off := int64(len(m.lits))
	m.lits = append(m.lits, b...)
	m.add(fresh, off, int64(len(b)))
}

func (m *Image) add(from source, off, n int64) {
	if n == 0 {
		return
	}
	if k := len(m.pieces) - 1; k < 0 || m.pieces[k].from != from || m.pieces[k].off+m.size-m.pieces[k].at != off {
		m.pieces = append(m.pieces, piece{m.size, off, from})
	}
	m.size += n
}

// Size is how many octets the image has.
func (m *Image) Size() int64 { return m.size }

// find returns the piece that has the octet at.
func (m *Image) find(at int64) int {
	return sort.Search(len(m.pieces), func(i int) bool { return m.pieces[i].at > at }) - 1
}

// endOf is where piece i ends.
func (m *Image) endOf(i int) int64 {
	if i+1 < len(m.pieces) {
		return m.pieces[i+1].at
	}
	return m.size
}

// ReadAt reads the octets of the image.
func (m *Image) ReadAt(b []byte, at int64) (done int, err error) {
	if at < 0 || at >= m.size {
		return 0, io.EOF
	}
	for i := m.find(at); done < len(b) && i < len(m.pieces); i++ {
		p := m.pieces[i]
		n := min(int64(len(b)-done), m.endOf(i)-at)
		if err := m.read(p.from, b[done:done+int(n)], p.off+at-p.at); err != nil {
			return done, err
		}
		done, at = done+int(n), at+n
	}
	if done < len(b) {
		return done, io.EOF
	}
	return done, nil
}

// read reads exactly len(b) octets of a source.
func (m *Image) read(from source, b []byte, off int64) error {
	r := m.file
	switch from {
	case fresh:
		copy(b, m.lits[off:])
		return nil
	case scratch:
		r = m.scratch
	}
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Same reports whether the image is the file as it is.
func (m *Image) Same() bool {
	if m.size != m.oldSize {
		return false
	}
	for _, p := range m.pieces {
		if p.from != old || p.off != p.at {
			return false
		}
	}
	return true
}

// write gives the journal what differs from the file.
func (m *Image) write(j *journal.Journal) error {
	buf := make([]byte, 1<<20)
	for i, p := range m.pieces {
		end := m.endOf(i)
		if p.from == old && p.off == p.at {
			continue
		}
		if j.Offset() != p.at || i == 0 {
			if err := j.At(p.at); err != nil {
				return err
			}
		}
		if p.from == old {
			if err := j.Copy(p.off, end-p.at); err != nil {
				return err
			}
			continue
		}
		for at := p.at; at < end; {
			b := buf[:min(int64(len(buf)), end-at)]
			if err := m.read(p.from, b, p.off+at-p.at); err != nil {
				return err
			}
			if _, err := j.Write(b); err != nil {
				return err
			}
			at += int64(len(b))
		}
	}
	return nil
}
