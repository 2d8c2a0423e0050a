package mailtxt

import (
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// letters makes messages of what a program wrote that took the mailbox for an
// mbox.
func (r *repair) letters(p *piece) (done bool, err error) {
	if r.converted {
		return false, nil
	}
	all, besides, err := mend.Letters(r.f, p.off, p.end, r.d.format.EOL == "\n", r.d.env, r.makeScratch)
	if err != nil {
		return false, err
	}
	for _, l := range besides {
		r.leave(l)
	}
	for _, l := range all {
		if l.Undated {
			r.acc.Dates++
		}
		if l.Torn {
			r.acc.Partial++
		}
		r.acc.Messages++
		r.step(mailbox.TakeIn, l.Off, l.End-l.Off, mend.TakenIn)
		r.image.Put(r.d.format.appendLine(nil, l.Date, false, l.Size, 0, sysbits.Bits[uint8](l.System)))
		r.image.Scratch(r.scratch)
		r.image.KeepScratch(l.At, l.Size)
		if err := r.expect(section(r.scratch, l.At, l.At+l.Size)); err != nil {
			return false, err
		}
	}
	return len(all) > 0, nil
}
