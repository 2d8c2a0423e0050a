package rfc822

import "bytes"

func (w *Walker) beginHeader(message bool) {
	w.inHeader, w.message = true, message
	w.head, w.line = w.head[:0], 0
	w.lineStart = true
}

// header takes what belongs to the header from p and returns the rest.
func (w *Walker) header(p []byte) []byte {
	n := bytes.IndexByte(p, '\n') + 1
	whole := n > 0
	if !whole {
		n = len(p)
	}
	if room := MaxHeader - len(w.head); n > room {
		n, whole = room, false
	}
	w.head = append(w.head, p[:n]...)
	switch {
	case whole:
		w.headerLine()
	case len(w.head) == MaxHeader:
		w.endHeader()
		w.lineStart = false
	}
	return p[n:]
}

// headerLine looks at the line that was just completed.
func (w *Walker) headerLine() {
	line := w.head[w.line:]
	if isBlank(line) {
		w.endHeader()
		return
	}
	if k, last := w.match(line); k >= 0 {
		w.head = w.head[:w.line]
		w.endHeader()
		w.boundary(k, last)
		return
	}
	if w.line == 0 && !w.message && !isField(line) {
		// A part without a header, and without the blank line for it.
		body := append([]byte(nil), line...)
		w.head = w.head[:0]
		w.endHeader()
		if w.inHeader { // in a digest: it was a message's header
			w.head = append(w.head, body...)
			w.line = len(w.head)
			return
		}
		w.emit(body)
		return
	}
	w.line = len(w.head)
}

// lastHeaderLine looks at a line that has no end, because nothing follows it.
func (w *Walker) lastHeaderLine() {
	if w.line < len(w.head) {
		w.headerLine()
	}
}

// isField reports whether line begins like a header field.
func isField(line []byte) bool {
	colon := bytes.IndexByte(line, ':')
	return colon > 0 && isName(bytes.TrimRight(line[:colon], " \t"))
}

// endHeader begins the body of a part.
func (w *Walker) endHeader() {
	p := &w.part
	*p = Part{Header: w.head, Message: w.message, Type: plainText}
	if n := len(w.bounds); n > 0 && w.bounds[n-1].digest && !w.message {
		p.Type = MediaType{Type: "message", Subtype: "rfc822"}
	}
	if raw, ok := Header(w.head, "Content-Type"); ok {
		p.Type = ParseMediaType(raw)
	}
	if raw, ok := Header(w.head, "Content-Transfer-Encoding"); ok {
		p.Encoding = ParseEncoding(raw)
	}
	w.endBody()
	w.inHeader, w.lineStart = false, true
	switch {
	case p.Type.Type == "multipart":
		w.beginMultipart(p)
	case w.depth < maxDepth && p.Encoding == Identity && isMessage(p.Type):
		w.depth++
		w.openPart(p)
		w.endBody()
		w.beginHeader(true)
	default:
		p.Leaf = true
		w.openPart(p)
	}
}

// isMessage reports whether the body is a message: RFC 2046, 5.2.1, and RFC
// 6532, 3.7.
func isMessage(t MediaType) bool {
	return t.Is("message", "rfc822") || t.Is("message", "global")
}

// beginMultipart begins the text in front of the first part. A multipart that
// has no boundary, or one longer than a line may be, or is too deep, is plain
// text.
func (w *Walker) beginMultipart(p *Part) {
	p.Encoding = Identity // RFC 2045, 6.4
	if n := len(p.Type.Boundary); n == 0 || n > maxBoundary || w.depth >= maxDepth {
		p.Type, p.Leaf = plainText, true
		w.openPart(p)
		return
	}
	w.bounds = append(w.bounds, bound{
		delimiter: append([]byte("--"), p.Type.Boundary...),
		digest:    p.Type.Subtype == "digest",
		depth:     w.depth,
	})
	w.depth++
	w.openPart(p)
}

func (w *Walker) openPart(p *Part) {
	if w.err == nil {
		w.sink, w.err = w.open(p)
	}
}
