package mbx

// reclaim drops the space of expunged records, if there are any before others
// and nobody else has the mailbox open.
func (b *box) reclaim() error {
	if b.readOnly || !b.hole {
		return nil
	}
	return nil
}
