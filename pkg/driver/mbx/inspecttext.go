package mbx

import (
	"bytes"
	"io"

	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// manyNULs is a run of NULs that is more likely lost octets than mail.
const manyNULs = 64

// A textCheck is what is to be said about the text of a message.
type textCheck struct {
	nulAt, nuls     int64 // the first long run of NULs
	run, runAt      int64 // the run that goes on
	bareAt, bareLFs int64 // LFs without CR
	last            byte
}

// text looks at the text of a message.
func (i *inspection) text(p *piece, seq uint32) error {
	hashed := i.plan != nil || i.seen != nil
	i.sum.SetSeed(seed)
	i.sum.Reset()
	i.digest = i.sum.Sum64()
	if p.end == p.text {
		return nil
	}
	if i.buf == nil {
		i.buf = make([]byte, 256<<10)
	}
	c := textCheck{nulAt: -1, bareAt: -1}
	for off := p.text; off < p.end && !i.Stopped(); {
		n, err := i.ReadAt(i.buf[:min(int64(len(i.buf)), p.end-off)], off)
		if n == 0 {
			if err == io.EOF {
				err = mailbox.ErrChanged
			}
			return err
		}
		if off == p.text && !mend.BeginsText(i.buf[:n]) {
			i.Doubt("mbx.text-start", off, seq, "text does not begin with a header field: %.20q", i.buf[:min(n, 20)])
		}
		c.add(i.buf[:n], off)
		if hashed {
			i.sum.Write(i.buf[:n])
		}
		off += int64(n)
	}
	c.flush()
	i.digest = i.sum.Sum64()
	if c.nulAt >= 0 {
		i.Doubt("mbx.nuls", c.nulAt, seq, "%d NULs in a row stand in the text: a block of it may be lost", c.nuls)
	}
	if c.bareAt >= 0 {
		i.Doubt("mbx.bare-lf", c.bareAt, seq, "%d lines of the text end in LF without CR", c.bareLFs)
	}
	if c.last != '\n' {
		i.Doubt("mbx.no-newline", p.end-1, seq, "text does not end with a line end")
	}
	return nil
}

// add looks at a part of the text, which is at off in the file.
func (c *textCheck) add(b []byte, off int64) {
	if c.run > 0 || bytes.IndexByte(b, 0) >= 0 {
		c.addNULs(b, off)
	}
	// Counting is faster than looking at every line.
	if c.last == '\r' && b[0] == '\n' || bytes.Count(b, []byte("\n")) != bytes.Count(b, []byte("\r\n")) {
		c.addLines(b, off)
	}
	c.last = b[len(b)-1]
}

func (c *textCheck) addLines(b []byte, off int64) {
	for n := 0; ; n++ {
		k := bytes.IndexByte(b[n:], '\n')
		if k < 0 {
			return
		}
		n += k
		before := c.last
		if n > 0 {
			before = b[n-1]
		}
		if before == '\r' {
			continue
		}
		if c.bareLFs++; c.bareAt < 0 {
			c.bareAt = off + int64(n)
		}
	}
}

func (c *textCheck) addNULs(b []byte, off int64) {
	for n := 0; n < len(b); n++ {
		if b[n] == 0 {
			if c.run == 0 {
				c.runAt = off + int64(n)
			}
			c.run++
			continue
		}
		c.flush()
		k := bytes.IndexByte(b[n:], 0)
		if k < 0 {
			return
		}
		n += k - 1
	}
}

// flush ends a run of NULs.
func (c *textCheck) flush() {
	if c.nulAt < 0 && c.run >= manyNULs {
		c.nulAt, c.nuls = c.runAt, c.run
	}
	c.run = 0
}
