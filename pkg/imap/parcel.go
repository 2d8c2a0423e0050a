package imap

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"mailutil/pkg/internal/spool"
	"mailutil/pkg/mailbox"
)

// A parcel is a message on its way.
type parcel struct {
	tag   string
	text  spool.Spool
	sum   digest
	flags string
	date  string
	nul   bool // NULs are in it
}

// keptParcel is how much memory a parcel may have that is used again.
const keptParcel = 256 << 10

// parcel returns an empty one.
func (t *delivery) parcel() *parcel {
	n := len(t.spare) - 1
	if n < 0 {
		return &parcel{}
	}
	p := t.spare[n]
	t.spare = t.spare[:n]
	return p
}

// drop is done with a parcel, and keeps a small one for the next message.
func (t *delivery) drop(p *parcel) error {
	if p.text.Size() > keptParcel {
		return p.text.Close()
	}
	text := p.text
	*p = parcel{text: text}
	t.spare = append(t.spare, p)
	return p.text.Truncate(0)
}

// pack reads a message, so that its size is known and nothing that is wrong
// with the source is noticed in the middle of a literal.
func (t *delivery) pack(it mailbox.Item) (*parcel, mailbox.Altered, error) {
	p := t.parcel()
	w := &lineEnds{w: &p.text}
	if !t.multi || len(t.have) > 0 || t.isDoubtful() {
		w.sum = sha256.New()
	}
	n, err := io.Copy(w, it.Text)
	if err == nil && it.Size >= 0 && n != it.Size {
		err = fmt.Errorf("message of %d octets was said to have %d", n, it.Size)
	}
	if err == nil && w.size == 0 { // RFC 3502 gives up at one
		err = fmt.Errorf("%w: IMAP has no messages without an octet", mailbox.ErrUnsupported)
	}
	altered := mailbox.Altered{LineEnds: w.lone}
	if err != nil {
		return nil, altered, errors.Join(err, p.text.Close())
	}
	if w.sum != nil {
		copy(p.sum[:], w.sum.Sum(nil))
	}
	p.nul = w.nul
	p.flags = t.flags(it.Flags, &altered)
	p.setDate(it.Date, &altered)
	return p, altered, nil
}

// flags writes those that the server keeps.
func (t *delivery) flags(f mailbox.Flags, altered *mailbox.Altered) string {
	names := mailbox.Flags{System: f.System &^ mailbox.Recent}.Names(nil)
	for i, k := range t.o.Keywords {
		switch {
		case i >= mailbox.MaxKeywords || f.Keywords&(1<<i) == 0:
		case k != "" && mailbox.ValidKeyword(k) && t.permanent.keeps(k):
			names = append(names, k)
		default:
			altered.Keywords++
		}
	}
	return strings.Join(names, " ")
}

// The years that internal dates may have in the formats that we know.
const (
	firstYear = 1970
	lastYear  = 2097
)

// setDate writes the internal date. Where there is none, or none that others
// can hold, the server takes the time of arrival. 31-Feb and second 60, which
// are no dates to a server, roll over.
func (p *parcel) setDate(d mailbox.Date, altered *mailbox.Altered) {
	switch real := mailbox.DateOf(d.Time()); {
	case d.IsZero():
		return
	case d.Year < firstYear || d.Year > lastYear:
		altered.Dates++
		return
	case real.Day != d.Day || real.Second != d.Second:
		d = real
		altered.Dates++
	}
	p.date = ` "` + d.String() + `"`
}

// arguments are those of one message, up to its literal.
func (t *delivery) arguments(p *parcel) string {
	eight, marker := "", ""
	if p.nul && t.c.has("BINARY") {
		eight = "~" // RFC 3516, 4.4
	}
	if t.c.literalPlus(p.text.Size()) {
		marker = "+"
	}
	return fmt.Sprintf("(%s)%s %s{%d%s}\r\n", p.flags, p.date, eight, p.text.Size(), marker)
}

// A lineEnds makes line ends of lone LFs, and digests what comes out.
type lineEnds struct {
	w    io.Writer
	sum  hash.Hash // nil: nobody asks for it
	cr   bool      // the last octet was a CR
	lone int       // LFs that became line ends
	nul  bool      // there was a NUL
	size int64
}

// Write takes all of p, and passes it on in as few pieces as can be.
func (e *lineEnds) Write(p []byte) (int, error) {
	e.nul = e.nul || bytes.IndexByte(p, 0) >= 0
	for rest := p; len(rest) > 0; {
		i := loneLF(rest, e.cr)
		if i < 0 {
			e.cr = rest[len(rest)-1] == '\r'
			return len(p), e.put(rest)
		}
		e.lone++
		e.cr = false
		if err := e.put(rest[:i]); err != nil {
			return 0, err
		}
		if err := e.put([]byte("\r\n")); err != nil {
			return 0, err
		}
		rest = rest[i+1:]
	}
	return len(p), nil
}

// loneLF is where the first LF without a CR before it is, -1 for nowhere; cr
// says that the octet before p is a CR.
func loneLF(p []byte, cr bool) int {
	for at := 0; ; {
		i := bytes.IndexByte(p[at:], '\n')
		if i < 0 {
			return -1
		}
		if i += at; i > 0 && p[i-1] != '\r' || i == 0 && !cr {
			return i
		}
		at = i + 1
	}
}

func (e *lineEnds) put(p []byte) error {
	if e.sum != nil {
		e.sum.Write(p)
	}
	e.size += int64(len(p))
	_, err := e.w.Write(p)
	return err
}
