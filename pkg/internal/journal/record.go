package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"syscall"

	"mailutil/pkg/internal/fsx"
)

// The side file, all numbers little endian:
//
//	header   32 magic, 4 mode, 4 uid, 4 gid, 8 old size, 4 length of the head
//	         sample, 4 length of the tail sample, 4 CRC of what precedes and of
//	         both samples; then the samples: the first and the last octets of
//	         the old file, by which Recover knows it again; then up to a page
//	record   8 offset in the new file, 4 length n, 4 CRC of the data,
//	         4 CRC of these 16; then up to a page; then n octets of data
//	commit   a record at offset -1 with 16 octets of data: the size of the
//	         file before the change and after it
//
// CRC is CRC-32C. The last commit record counts: Recover adds one when mail
// was appended to the mailbox meanwhile. Data begin at pages of the side file
// and, but for the first record of a segment, of the mailbox, because copying
// to and from odd offsets is slow.
const (
	magic      = "mailutil journal 1\n"
	headerSize = 64
	sampleSize = 4 << 10
	recordSize = 20
	page       = 4 << 10
	maxData    = 1 << 20 // of one record
	commitOff  = -1
)

// pages rounds up to whole pages.
func pages(n int64) int64 { return (n + page - 1) &^ (page - 1) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func crc(parts ...[]byte) uint32 {
	var sum uint32
	for _, p := range parts {
		sum = crc32.Update(sum, castagnoli, p)
	}
	return sum
}

// A header describes the mailbox as it was when the change began.
type header struct {
	mode, uid, gid uint32
	old            int64
	head, tail     []byte
}

// describe makes the header for f.
func describe(f fsx.File, fi fs.FileInfo) (header, error) {
	h := header{mode: uint32(fi.Mode().Perm()), old: fi.Size()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		h.uid, h.gid = st.Uid, st.Gid
	}
	n := min(h.old, sampleSize)
	h.head, h.tail = make([]byte, n), make([]byte, n)
	if err := readFull(f, h.head, 0); err != nil {
		return h, err
	}
	return h, readFull(f, h.tail, h.old-n)
}

// readFull reads exactly len(p) octets at off.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == io.EOF || err == nil {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (h header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	le := binary.LittleEndian
	le.PutUint32(b[32:], h.mode)
	le.PutUint32(b[36:], h.uid)
	le.PutUint32(b[40:], h.gid)
	le.PutUint64(b[44:], uint64(h.old))
	le.PutUint32(b[52:], uint32(len(h.head)))
	le.PutUint32(b[56:], uint32(len(h.tail)))
	le.PutUint32(b[60:], crc(b[:60], h.head, h.tail))
	b = append(append(b, h.head...), h.tail...)
	return append(b, make([]byte, pages(int64(len(b)))-int64(len(b)))...)
}

// errNoHeader means that the side file's header never became durable.
var errNoHeader = fmt.Errorf("journal: no header")

// readHeader returns the header and where the records begin.
func readHeader(side io.ReaderAt) (h header, end int64, err error) {
	b := make([]byte, headerSize)
	if err := readFull(side, b, 0); err != nil {
		return h, 0, noHeader(err)
	}
	le := binary.LittleEndian
	h = header{
		mode: le.Uint32(b[32:]), uid: le.Uint32(b[36:]), gid: le.Uint32(b[40:]),
		old: int64(le.Uint64(b[44:])),
	}
	heads, tails := le.Uint32(b[52:]), le.Uint32(b[56:])
	if !bytes.HasPrefix(b, []byte(magic)) || heads > sampleSize || tails > sampleSize || h.old < int64(tails) {
		return h, 0, errNoHeader
	}
	samples := make([]byte, heads+tails)
	if err := readFull(side, samples, headerSize); err != nil {
		return h, 0, noHeader(err)
	}
	h.head, h.tail = samples[:heads], samples[heads:]
	if le.Uint32(b[60:]) != crc(b[:60], samples) {
		return h, 0, errNoHeader
	}
	return h, pages(headerSize + int64(len(samples))), nil
}

// noHeader makes a short file a missing header; a read error stays one.
func noHeader(err error) error {
	if err == io.ErrUnexpectedEOF {
		return errNoHeader
	}
	return err
}

// A writer writes records, a whole one at a time.
type writer struct {
	to   io.WriterAt
	pos  int64  // in the side file
	buf  []byte // a page for the record's head, then its data
	n    int    // octets of data in buf
	next int64  // offset in the new file of the next octet of data

	behind *fsx.Behind
}

func (w *writer) data() []byte {
	if w.buf == nil {
		w.buf = make([]byte, page+maxData)
	}
	return w.buf[page:]
}

func (w *writer) header(h header) error {
	b := h.encode()
	if _, err := w.to.WriteAt(b, 0); err != nil {
		return err
	}
	w.pos = int64(len(b))
	return nil
}

func (w *writer) at(off int64) error {
	if err := w.flush(); err != nil {
		return err
	}
	w.next = off
	return nil
}

// room is where more data can go; never empty.
func (w *writer) room() ([]byte, error) {
	if w.n == w.full() {
		if err := w.flush(); err != nil {
			return nil, err
		}
	}
	return w.data()[w.n:w.full()], nil
}

// full is how much data the record takes: up to a page of the new file.
func (w *writer) full() int {
	return int(maxData - (w.next-int64(w.n)+maxData)%page)
}

// fill says that n octets were put into room.
func (w *writer) fill(n int) {
	w.n += n
	w.next += int64(n)
}

func (w *writer) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		room, err := w.room()
		if err != nil {
			return done, err
		}
		n := copy(room, p[done:])
		w.fill(n)
		done += n
	}
	return len(p), nil
}

func (w *writer) flush() error {
	if w.n == 0 {
		return nil
	}
	if err := w.write(w.buf[:page+w.n], w.next-int64(w.n)); err != nil {
		return err
	}
	w.n = 0
	return nil
}

// write writes the record whose data begin at the second page of rec.
func (w *writer) write(rec []byte, off int64) error {
	seal(rec, off)
	_, err := w.to.WriteAt(rec, w.pos)
	w.pos += pages(int64(len(rec)))
	w.behind.Wrote(w.pos)
	return err
}

// commit ends the records.
func (w *writer) commit(before, after int64) error {
	if err := w.flush(); err != nil {
		return err
	}
	rec := make([]byte, page+16)
	binary.LittleEndian.PutUint64(rec[page:], uint64(before))
	binary.LittleEndian.PutUint64(rec[page+8:], uint64(after))
	return w.write(rec, commitOff)
}

// seal fills in the head of a record for offset off of the new file.
func seal(rec []byte, off int64) {
	le := binary.LittleEndian
	data := rec[page:]
	le.PutUint64(rec, uint64(off))
	le.PutUint32(rec[8:], uint32(len(data)))
	le.PutUint32(rec[12:], crc(data))
	le.PutUint32(rec[16:], crc(rec[:16]))
}

// A record is one piece of the change; data is valid until the next record is
// read.
type record struct {
	off  int64
	data []byte
}

// sizes are what a commit record says.
func (r record) sizes() (before, after int64) {
	return int64(binary.LittleEndian.Uint64(r.data)), int64(binary.LittleEndian.Uint64(r.data[8:]))
}

// A reader reads records.
type reader struct {
	from io.ReaderAt
	pos  int64
	buf  []byte
}

// next returns the record at pos; ok is false at the end of what is whole.
func (r *reader) next() (rec record, ok bool, err error) {
	if r.buf == nil {
		r.buf = make([]byte, maxData)
	}
	head := make([]byte, recordSize)
	if err := readFull(r.from, head, r.pos); err != nil {
		return rec, false, atEnd(err)
	}
	le := binary.LittleEndian
	n := int(le.Uint32(head[8:]))
	if le.Uint32(head[16:]) != crc(head[:16]) || n > maxData {
		return rec, false, nil
	}
	rec = record{int64(le.Uint64(head)), r.buf[:n]}
	if err := readFull(r.from, rec.data, r.pos+page); err != nil {
		return rec, false, atEnd(err)
	}
	if le.Uint32(head[12:]) != crc(rec.data) || rec.off == commitOff && n != 16 {
		return rec, false, nil
	}
	r.pos += pages(page + int64(n))
	return rec, true, nil
}

// atEnd makes a short read the end; a read error stays one.
func atEnd(err error) error {
	if err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}
