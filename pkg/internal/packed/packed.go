// Package packed reads what is compressed by gzip, bzip2, xz or zstd, told by
// the octets it begins with.
package packed

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"mailutil/pkg/mailbox"
)

// A Compression is how octets are packed.
type Compression int

// The compressions; None is none of them.
const (
	None  Compression = iota
	Gzip              // RFC 1952, one member or many
	Bzip2             //
	Xz                // one stream or many
	Zstd              // RFC 8878
)

// MarkLen is how many octets tell a Compression.
const MarkLen = 6

var marks = map[Compression]string{
	Gzip:  "\x1F\x8B",
	Bzip2: "BZh",
	Xz:    "\xFD7zXZ\x00",
	Zstd:  "\x28\xB5\x2F\xFD",
}

// Of tells a Compression by the octets that something begins with.
func Of(head []byte) Compression {
	for c, mark := range marks {
		if bytes.HasPrefix(head, []byte(mark)) {
			return c
		}
	}
	return None
}

// maxWindow is how much memory a zstd stream may ask for: what zstd itself takes
// without being told to, and twice the memory of any of its levels. An xz stream
// gets what it asks for, which is 64 MiB for the highest level of xz.
const maxWindow = 128 << 20

// Unpack gives the octets that are packed in r, or those of r where they are
// not packed. stop ends it. Errors of what is packed are ErrCorrupt.
func Unpack(r io.Reader) (out io.Reader, stop func(), err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	mark, err := in.Peek(MarkLen)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	stop = func() {}
	switch Of(mark) {
	case None:
		return in, stop, nil
	case Gzip:
		out, err = gzip.NewReader(in)
	case Bzip2:
		out = bzip2.NewReader(in)
	case Xz:
		out, err = newXz(in)
	case Zstd:
		var z *zstd.Decoder
		z, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err == nil {
			out, stop = z, z.Close
		}
	}
	if err != nil {
		return nil, nil, damage{err}
	}
	return reader{out}, stop, nil
}

// newXz is xz.NewReader that tells an end that comes too early everywhere.
func newXz(r io.Reader) (io.Reader, error) {
	e := &xzEnd{r: r}
	x, err := xz.NewReader(e)
	return &xzReader{x, e}, err
}

// An xzReader takes no end but that of a stream: where the head of a block is
// cut package xz sees none.
type xzReader struct {
	*xz.Reader
	end *xzEnd
}

func (x *xzReader) Read(p []byte) (int, error) {
	n, err := x.Reader.Read(p)
	if err == io.EOF && string(x.end.last[:]) != "YZ" {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// An xzEnd remembers the last octets, but for padding: "YZ" behind a stream.
type xzEnd struct {
	r    io.Reader
	last [2]byte
}

func (e *xzEnd) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if t := bytes.TrimRight(p[:n], "\x00"); len(t) > 0 {
		t = append(e.last[:], t[max(len(t)-2, 0):]...)
		e.last = [2]byte(t[len(t)-2:])
	}
	return n, err
}

// A reader says of errors that they are those of packed octets: one of them is
// io.ErrUnexpectedEOF, which elsewhere means that a file was cut.
type reader struct{ r io.Reader }

func (p reader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if err != nil && err != io.EOF {
		err = damage{err}
	}
	return n, err
}

// A damage says that octets cannot be unpacked.
type damage struct{ err error }

func (e damage) Error() string {
	if e.err == io.ErrUnexpectedEOF {
		return "the compressed data end too early"
	}
	return fmt.Sprintf("the compressed data are damaged (%v)", e.err)
}

func (e damage) Is(err error) bool { return err == mailbox.ErrCorrupt }
