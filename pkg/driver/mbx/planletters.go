package mbx

import (
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// letters makes messages of what a program wrote that took the mailbox for an
// mbox. They get their UIDs as new ones do.
func (p *planner) letters(c *piece) (done bool, err error) {
	if p.converted {
		return false, nil
	}
	all, besides, err := mend.Letters(p.from, c.off, c.end, false, p.r.d.env, p.makeScratch)
	if err != nil {
		return false, err
	}
	for _, l := range besides {
		p.setAside(&piece{off: l.Off, end: l.End}, false, l.Why)
	}
	for _, l := range all {
		m := planned{off: l.Off, text: l.Off, end: l.End, flags: sysbits.Bits[uint16](l.System), bits: planLine | planCut}
		if m.digest, err = digestOf(section(p.r.scratch, l.At, l.At+l.Size)); err != nil {
			return false, err
		}
		if l.Undated {
			p.acc.Dates++
		}
		p.fixes[len(p.msgs)] = fix{date: l.Date.String(), scratch: l.At, made: l.Size}
		p.msgs = append(p.msgs, m)
		if l.Torn {
			p.acc.Partial++
		} else {
			p.acc.Intact++
		}
		p.step(mailbox.TakeIn, l.Off, l.End-l.Off, uint32(len(p.msgs)), mend.TakenIn)
	}
	return len(all) > 0, nil
}
