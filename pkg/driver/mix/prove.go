package mix

import (
	"hash/maphash"

	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

var _ mailbox.Witness = (*box)(nil)

// seed makes digests comparable within this process.
var seed = maphash.MakeSeed()

// A witness digests the texts of all messages, in order, each once.
type witness struct {
	b   *box
	of  []message // as the session showed them when it began
	sum maphash.Hash
	seq uint32 // message that comes next, from 1
	pos int64  // octets of it that were digested
}

func (b *box) newWitness() *witness {
	w := &witness{b: b, of: b.view, seq: 1}
	w.sum.SetSeed(seed)
	w.begin()
	return w
}

// begin digests what divides the texts.
func (w *witness) begin() {
	if int(w.seq) <= len(w.of) {
		m := &w.of[w.seq-1]
		maphash.WriteComparable(&w.sum, [2]int64{int64(m.uid), m.size})
	}
}

// see is told of octets that were read, of the text of message seq from pos on.
func (w *witness) see(seq uint32, pos int64, p []byte) error {
	if seq < w.seq || seq == w.seq && pos+int64(len(p)) <= w.pos {
		return nil
	}
	if seq == w.seq && pos <= w.pos { // most readers read in order
		w.take(p[w.pos-pos:])
		return nil
	}
	return w.catchUp(seq, pos+int64(len(p)))
}

// take digests octets that come next.
func (w *witness) take(p []byte) {
	w.sum.Write(p)
	w.pos += int64(len(p))
	if w.pos == w.of[w.seq-1].size {
		w.seq, w.pos = w.seq+1, 0
		w.begin()
	}
}

// catchUp reads what was left out before octet pos of message seq.
func (w *witness) catchUp(seq uint32, pos int64) error {
	for int(w.seq) <= len(w.of) && (w.seq < seq || w.seq == seq && w.pos < pos) {
		m := &w.of[w.seq-1]
		most := m.size
		if w.seq == seq {
			most = pos
		}
		if m.size == 0 {
			w.take(nil)
			continue
		}
		p, err := w.b.data.at(m.file, m.text()+w.pos, most-w.pos)
		if err != nil {
			return err
		}
		w.take(p)
	}
	return nil
}

// total is the size of all messages of the witness.
func (w *witness) total() (n int64) {
	for i := range w.of {
		n += w.of[i].size
	}
	return n
}

// end reads what is left and returns the proof.
func (w *witness) end() (mailbox.Proof, error) {
	if err := w.catchUp(uint32(len(w.of))+1, 0); err != nil {
		return mailbox.Proof{}, w.b.d.fail("read", w.b.name, err)
	}
	return mailbox.Proof{Size: w.total(), Digest: w.sum.Sum64()}, nil
}

// Prove digests the texts of all messages that the session shows. What is
// there now are the messages that the index lists by now.
func (b *box) Prove() (mailbox.Proof, error) {
	w := b.newWitness()
	proof, err := w.end()
	if err != nil {
		return proof, err
	}
	proof.Now = proof.Size
	err = b.locked(bg, lock.Shared, lock.Shared, func(_ *pair, s *state) error {
		for i := range s.msgs {
			if s.msgs[i].uid > b.meta.uidLast {
				proof.Now += s.msgs[i].size
			}
		}
		return nil
	})
	return proof, b.d.fail("read", b.name, err)
}

// Witness begins to digest what is read.
func (b *box) Witness() { b.wit = b.newWitness() }

// Witnessed returns the proof of what was read.
func (b *box) Witnessed() (mailbox.Proof, error) {
	w := b.wit
	if w == nil {
		w = b.newWitness()
	}
	b.wit = nil
	return w.end()
}
