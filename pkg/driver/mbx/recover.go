package mbx

// finishChange finishes a change that was interrupted. The caller holds the
// temp lock.
func (b *box) finishChange() error {
	did, err := b.d.files().FinishChange(b.f)
	if did {
		b.sweep = true
	}
	return err
}
