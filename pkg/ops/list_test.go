package ops

import (
	"errors"
	"iter"
	"slices"
	"testing"
)

// TestAhead takes some of what a sequence yields, or all of it and its error:
// always in order, and the sequence has ended when the loop has.
func TestAhead(t *testing.T) {
	broken := errors.New("broken")
	for _, n := range []int{0, 1, aheadBatch - 1, aheadBatch, aheadBatch + 1, 10 * aheadBatch} {
		for _, fails := range []error{nil, broken} {
			for _, take := range []int{1, aheadBatch, n + 1} {
				ended := false
				seq := func(yield func(int, error) bool) {
					defer func() { ended = true }()
					for i := range n {
						if !yield(i, nil) {
							return
						}
					}
					if fails != nil {
						yield(0, fails)
					}
				}
				got, err := takeSome(ahead(seq), take)
				if !ended {
					t.Errorf("%d of %d: goes on", take, n)
				}
				want := min(take, n)
				if len(got) != want || want > 0 && got[want-1] != want-1 || !slices.IsSorted(got) {
					t.Errorf("%d of %d: %v", take, n, got)
				}
				if take > n && err != fails {
					t.Errorf("%d of %d: error %v, want %v", take, n, err, fails)
				}
			}
		}
	}
}

func takeSome(seq iter.Seq2[int, error], n int) (got []int, err error) {
	for i, err := range seq {
		if err != nil {
			return got, err
		}
		if got = append(got, i); len(got) == n {
			break
		}
	}
	return got, nil
}
