package stream

import (
	"io"

	"mailutil/pkg/internal/packed"
)

// A Compression is how the octets of a stream are packed.
type Compression = packed.Compression

// None is plain mbox. Bzip2 and Xz are only read.
const (
	None  = packed.None
	Gzip  = packed.Gzip
	Bzip2 = packed.Bzip2
	Xz    = packed.Xz
	Zstd  = packed.Zstd
)

// Unpacker returns what unpacks octets that begin with head, nil where they are
// not packed; stop ends it. Errors of what is packed are ErrCorrupt.
func Unpacker(head []byte) func(r io.Reader) (out io.Reader, stop func(), err error) {
	if packed.Of(head) == packed.None {
		return nil
	}
	return packed.Unpack
}
