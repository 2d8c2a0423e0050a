package mbx

// finishChange finishes a change that was interrupted. The caller holds the
// temp lock.
func (b *box) finishChange() error {
	did, err := b.Files.FinishChange(b.F)
	if did {
		b.Sweep = true
	}
	return err
}
