package maildir

import (
	"errors"
	"hash/maphash"

	"mailutil/pkg/mailbox"
)

// A proof digests the bases and the texts of the messages, each for itself, so
// that they may be read in any order.
type proof struct {
	sums []maphash.Hash
	size []int64 // octets on disk; -1 when the text was not read
}

func (b *box) newProof() *proof {
	p := &proof{sums: make([]maphash.Hash, len(b.ix.all)), size: make([]int64, len(b.ix.all))}
	for i := range p.size {
		p.size[i] = -1
	}
	return p
}

// watch digests a text as it is read.
func (p *proof) watch(c *content, i int) {
	if i >= len(p.size) || p.size[i] >= 0 {
		return
	}
	p.sums[i].SetSeed(seed)
	p.sums[i].Reset()
	c.sum = &p.sums[i]
	c.done = func() { p.size[i] = c.end }
}

// finish reads what was not read, and sums up.
func (b *box) finishProof(p *proof) (out mailbox.Proof, err error) {
	var sum maphash.Hash
	sum.SetSeed(seed)
	var c content
	for i := range p.size {
		if p.size[i] < 0 {
			if err := b.readThrough(&c, p, i); err != nil {
				return out, errors.Join(err, c.close())
			}
		}
		out.Size += p.size[i]
		sum.Write(b.ix.base(&b.ix.all[i]))
		maphash.WriteComparable(&sum, p.sums[i].Sum64())
	}
	out.Digest, out.Now = sum.Sum64(), out.Size
	return out, c.close()
}

func (b *box) readThrough(c *content, p *proof, i int) error {
	f, fi, err := b.openFile(i)
	if err != nil {
		return err
	}
	c.reset(f, fi)
	p.watch(c, i)
	for c.off < c.end {
		if err := c.fill(); err != nil {
			return err
		}
	}
	c.done()
	return c.close()
}

// Prove digests all messages that the session knows. Proof.Now counts the
// octets of those that came since.
func (b *box) Prove() (mailbox.Proof, error) {
	out, err := b.finishProof(b.newProof())
	if err != nil {
		return out, err
	}
	find := b.ix.finder()
	var size int64
	err = b.d.readMessages(b.dir, func(file string) {
		if find(baseOf(file)) >= 0 {
			return
		}
		if fi, err := b.d.fs.Stat(b.dir + "/" + file); err == nil {
			size += fi.Size()
		}
	})
	out.Now += size
	return out, err
}

// Witness begins to digest what is read.
func (b *box) Witness() { b.proof = b.newProof() }

// Witnessed returns the digest of what was read.
func (b *box) Witnessed() (mailbox.Proof, error) {
	p := b.proof
	b.proof = nil
	return b.finishProof(p)
}
