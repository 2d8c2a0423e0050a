package numbered

import (
	"errors"
	"io"
	"os"
	"slices"
	"strconv"

	"mailutil/pkg/internal/msgtext"
	"mailutil/pkg/mailbox"
)

// A proof digests the texts of messages.
type proof struct {
	nums []uint32 // ascending
	*msgtext.Digests
}

func newProof(nums []uint32) *proof { return &proof{nums, msgtext.NewDigests(len(nums))} }

// watch digests the text of message n as it is read.
func (p *proof) watch(t *msgtext.Text, n uint32) {
	if p == nil {
		return
	}
	if i, ok := slices.BinarySearch(p.nums, n); ok {
		p.Watch(t, i)
	}
}

// finish reads what was not read, and sums up texts and numbers.
func (t *Texts) finish(p *proof) (mailbox.Proof, error) {
	t.proof = p
	defer func() { t.proof = nil }()
	number := func(i int) []byte { return strconv.AppendUint(nil, uint64(p.nums[i]), 10) }
	return p.Proof(number, func(i int) error {
		if err := t.open(p.nums[i]); err != nil {
			return err
		}
		_, err := t.text.WriteTo(io.Discard)
		return errors.Join(err, t.Close())
	})
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
