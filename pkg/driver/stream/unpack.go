package stream

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"mailutil/pkg/mailbox"
)

// A Compression is how the octets of a stream are packed.
type Compression int

// None is plain mbox. Bzip2 is only read.
const (
	None Compression = iota
	Gzip
	Bzip2
	Zstd
)

// markLen is how many octets tell a Compression.
const markLen = 4

// compressionOf tells a Compression by the first octets of a stream.
func compressionOf(mark []byte) Compression {
	switch {
	case bytes.HasPrefix(mark, []byte{0x1F, 0x8B}):
		return Gzip
	case bytes.HasPrefix(mark, []byte("BZh")):
		return Bzip2
	case bytes.HasPrefix(mark, []byte{0x28, 0xB5, 0x2F, 0xFD}):
		return Zstd
	}
	return None
}

// maxZstdWindow is how much memory a zstd stream may ask for: what zstd itself
// takes without being told to, and twice the memory of any of its levels.
const maxZstdWindow = 128 << 20

// unpack gives the octets that are packed in r, however they are packed. stop
// ends it.
func unpack(r io.Reader) (out io.Reader, stop func(), err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	mark, err := in.Peek(markLen)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	stop = func() {}
	switch compressionOf(mark) {
	case Gzip:
		out, err = gzip.NewReader(in)
	case Bzip2:
		out = bzip2.NewReader(in)
	case Zstd:
		var z *zstd.Decoder
		z, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err == nil {
			out, stop = z, z.Close
		}
	default:
		return in, stop, nil
	}
	if err != nil {
		return nil, nil, packError{err}
	}
	return packed{out}, stop, nil
}

// A packed reader says of errors that they are those of packed octets: one of
// them is io.ErrUnexpectedEOF, which elsewhere means that a file was cut.
type packed struct{ r io.Reader }

func (p packed) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if err != nil && err != io.EOF {
		err = packError{err}
	}
	return n, err
}

// A packError says that octets cannot be unpacked. It is an ErrCorrupt.
type packError struct{ err error }

func (e packError) Error() string {
	if e.err == io.ErrUnexpectedEOF {
		return "the compressed data end too early"
	}
	return fmt.Sprintf("the compressed data are damaged (%v)", e.err)
}

func (e packError) Is(err error) bool { return err == mailbox.ErrCorrupt }
