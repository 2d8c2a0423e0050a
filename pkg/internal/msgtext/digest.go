package msgtext

import (
	"hash/maphash"

	"mailutil/pkg/mailbox"
)

// seed makes digests comparable within this process.
var seed = maphash.MakeSeed()

// Digests are those of the texts of several messages, as they are on disk, each
// for itself, so that they may be read in any order.
type Digests struct {
	sums []uint64
	size []int64 // octets on disk; -1 when the text was not read
}

// NewDigests returns those of n texts, none of which was read.
func NewDigests(n int) *Digests {
	d := &Digests{make([]uint64, n), make([]int64, n)}
	for i := range d.size {
		d.size[i] = -1
	}
	return d
}

// Watch digests the text that t begins as it is read, for text i, which need
// not be one of them.
func (d *Digests) Watch(t *Text, i int) {
	if i < 0 || i >= len(d.size) || d.size[i] >= 0 {
		return
	}
	var sum maphash.Hash
	sum.SetSeed(seed)
	size, left := t.size, t.size
	t.Seen = func(octets []byte) {
		sum.Write(octets)
		if left -= int64(len(octets)); left == 0 {
			d.sums[i], d.size[i] = sum.Sum64(), size
		}
	}
	t.Seen(nil) // which is all of an empty one
}

// Know takes a digest of text i that was made otherwise, and its size in octets.
func (d *Digests) Know(i int, size int64, sum uint64) { d.sums[i], d.size[i] = sum, size }

// Knows reports whether there is a digest of text i.
func (d *Digests) Knows(i int) bool { return d.size[i] >= 0 }

// Proof sums up the digests and the names of the texts. read has to read one
// under Watch that was not read yet.
func (d *Digests) Proof(name func(i int) []byte, read func(i int) error) (out mailbox.Proof, err error) {
	var sum maphash.Hash
	sum.SetSeed(seed)
	for i := range d.size {
		if d.size[i] < 0 {
			if err := read(i); err != nil {
				return out, err
			}
		}
		out.Size += d.size[i]
		sum.Write(name(i))
		maphash.WriteComparable(&sum, d.sums[i])
	}
	out.Digest, out.Now = sum.Sum64(), out.Size
	return out, nil
}
