package maildir

import (
	"io"

	"mailutil/pkg/internal/msgtext"
	"mailutil/pkg/mailbox"
)

// sumUp reads what was not read, and sums up texts and bases. A message that was
// taken with its file is not read: what is there is what was taken.
func (b *box) sumUp(d *msgtext.Digests) (mailbox.Proof, error) {
	for seq := range b.linked.Seqs(uint32(len(b.ix.all))) {
		if i := int(seq) - 1; !d.Knows(i) {
			fi, err := b.stat(i)
			if err != nil {
				return mailbox.Proof{}, err
			}
			d.Know(i, fi.Size(), identity(fi))
		}
	}
	base := func(i int) []byte { return b.ix.base(&b.ix.all[i]) }
	return d.Proof(base, func(i int) error {
		if err := b.openText(i); err != nil {
			return err
		}
		d.Watch(&b.text, i)
		_, err := b.text.WriteTo(io.Discard)
		return err
	})
}

// Prove digests all messages that the session knows. Proof.Now counts the
// octets of those that came since.
func (b *box) Prove() (mailbox.Proof, error) {
	out, err := b.sumUp(msgtext.NewDigests(len(b.ix.all)))
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
func (b *box) Witness() {
	b.proof, b.linked = msgtext.NewDigests(len(b.ix.all)), mailbox.Set{}
}

// Witnessed returns the digest of what was read.
func (b *box) Witnessed() (mailbox.Proof, error) {
	d := b.proof
	b.proof = nil
	return b.sumUp(d)
}
