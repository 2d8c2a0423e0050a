package mailtxt

import "bytes"

// appendCRLF appends p with CR LF for each LF that has no CR before it; cr says
// that the octet before p is CR.
func appendCRLF(b, p []byte, cr bool) []byte {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			return append(b, p...)
		}
		b = append(b, p[:i]...)
		if !endsCR(p[:i], cr) {
			b = append(b, '\r')
		}
		b = append(b, '\n')
		p, cr = p[i+1:], false
	}
}

// addedCRs is how many octets appendCRLF adds to p.
func addedCRs(p []byte, cr bool) (n int64) {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			return n
		}
		if !endsCR(p[:i], cr) {
			n++
		}
		p, cr = p[i+1:], false
	}
}

// endsCR reports whether the last octet of p, or where there is none the one
// before it, is CR.
func endsCR(p []byte, cr bool) bool {
	if len(p) == 0 {
		return cr
	}
	return p[len(p)-1] == '\r'
}

// An lfAppender takes CR LF to LF, so that appendCRLF gives back what it was
// given. CRs that stand before CR LF stay, with that one, as do CRs anywhere
// else: the original reads them, though it writes none.
type lfAppender struct {
	held int // CRs at the end of what was given
	bare int // LFs without a CR, so far
}

// append appends the converted octets of p, which goes on where the last p
// ended, to b.
func (l *lfAppender) append(b, p []byte) []byte {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		text := bytes.TrimRight(p[:i], "\r")
		if len(text) > 0 {
			b = append(l.flush(b), text...)
		}
		l.held += i - len(text)
		switch l.held {
		case 0:
			l.bare++
		case 1:
			l.held = 0
		}
		b = append(l.flush(b), '\n')
		p = p[i+1:]
	}
	text := bytes.TrimRight(p, "\r")
	if len(text) > 0 {
		b = append(l.flush(b), text...)
	}
	l.held += len(p) - len(text)
	return b
}

// flush appends the CRs that were held back.
func (l *lfAppender) flush(b []byte) []byte {
	for ; l.held > 0; l.held-- {
		b = append(b, '\r')
	}
	return b
}
