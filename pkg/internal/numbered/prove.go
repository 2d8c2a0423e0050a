package numbered

import (
	"errors"
	"hash/maphash"
	"os"
	"slices"

	"mailutil/pkg/mailbox"
)

// seed makes digests comparable within this process.
var seed = maphash.MakeSeed()

// A proof digests the texts of messages, each for itself, so that they may be
// read in any order.
type proof struct {
	nums []uint32 // ascending
	sums []uint64
	size []int64 // octets on disk; -1 when the text was not read
}

func newProof(nums []uint32) *proof {
	return &proof{nums, make([]uint64, len(nums)), slices.Repeat([]int64{-1}, len(nums))}
}

// watch watches over the reading of message n, of end octets; over nothing where
// it was read before.
func (p *proof) watch(n uint32, end int64) (w watch) {
	if p == nil {
		return w
	}
	if i, ok := slices.BinarySearch(p.nums, n); ok && p.size[i] < 0 {
		w = watch{p: p, i: i}
		w.sum.SetSeed(seed)
		w.saw(nil, 0, end)
	}
	return w
}

// A watch digests a text as it is read.
type watch struct {
	p    *proof // nil: nobody watches
	i    int
	sum  maphash.Hash
	seen int64
}

// saw is told of the octets at off of a text of end octets. Some may come more
// than once.
func (w *watch) saw(b []byte, off, end int64) {
	if w.p == nil || off > w.seen || off+int64(len(b)) < w.seen {
		return
	}
	w.sum.Write(b[w.seen-off:])
	if w.seen = off + int64(len(b)); w.seen == end {
		w.p.sums[w.i], w.p.size[w.i] = w.sum.Sum64(), end
	}
}

// finish reads what was not read, and sums up.
func (t *Texts) finish(p *proof) (out mailbox.Proof, err error) {
	var sum maphash.Hash
	sum.SetSeed(seed)
	t.proof = p
	defer func() { t.proof = nil }()
	for i, n := range p.nums {
		if p.size[i] < 0 {
			if err := t.readThrough(n); err != nil {
				return out, err
			}
		}
		maphash.WriteComparable(&sum, n)
		maphash.WriteComparable(&sum, p.sums[i])
		out.Size += p.size[i]
	}
	out.Digest, out.Now = sum.Sum64(), out.Size
	return out, nil
}

func (t *Texts) readThrough(n uint32) error {
	if err := t.Close(); err != nil { // another watch is over it
		return err
	}
	if err := t.open(n); err != nil {
		return err
	}
	c := &t.c
	for c.off < c.end {
		b, err := c.read(c.off)
		if err != nil {
			return errors.Join(err, t.Close())
		}
		c.watch.saw(b, c.off, c.end)
		c.off += int64(len(b))
	}
	return t.Close()
}

// Prove digests the messages nums, as they are on disk, and counts what has come
// after them.
func (t *Texts) Prove(nums []uint32) (mailbox.Proof, error) {
	out, err := t.finish(newProof(nums))
	if err != nil {
		return out, err
	}
	l, err := t.Dir.List()
	if err != nil {
		return out, err
	}
	for _, n := range l.Numbers {
		if len(nums) > 0 && n <= nums[len(nums)-1] {
			continue
		}
		if fi, err := os.Stat(t.Dir.File(n)); err == nil {
			out.Now += max(fi.Size(), 1)
		}
	}
	return out, nil
}

// Witness begins to digest what is read of the messages nums.
func (t *Texts) Witness(nums []uint32) { t.proof = newProof(nums) }

// Witnessed returns the digest of what was read.
func (t *Texts) Witnessed() (mailbox.Proof, error) {
	p := t.proof
	if p == nil {
		p = newProof(nil)
	}
	return t.finish(p)
}
