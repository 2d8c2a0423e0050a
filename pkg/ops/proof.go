package ops

import (
	"fmt"

	"mailutil/pkg/mailbox"
)

// A proof shows that a source stayed as it was while it was read.
type proof struct {
	prover  mailbox.Prover  // nil: the source cannot prove anything
	witness mailbox.Witness // nil: it has to be read once more for that
	before  mailbox.Proof
}

// beginProof is called before anything is read.
func beginProof(mb mailbox.Mailbox) (p proof, err error) {
	p.prover, _ = mb.(mailbox.Prover)
	if p.witness, _ = mb.(mailbox.Witness); p.witness != nil {
		p.witness.Witness()
	} else if p.prover != nil {
		p.before, err = p.prover.Prove()
	}
	return p, err
}

// end compares what was read with what is there now, and notes in acc what it
// found. The error is ErrChanged where they differ.
func (p proof) end(acc *Account) (err error) {
	if p.prover == nil {
		return nil
	}
	read := p.before
	if p.witness != nil {
		if read, err = p.witness.Witnessed(); err != nil {
			return err
		}
	}
	now, err := p.prover.Prove()
	if err != nil {
		return err
	}
	if now.Size != read.Size || now.Digest != read.Digest {
		return fmt.Errorf("source: %w", mailbox.ErrChanged)
	}
	acc.SourceProven = true
	acc.SourceGrew = now.Now - now.Size
	return nil
}
