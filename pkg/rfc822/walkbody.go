package rfc822

import "bytes"

// body passes on text within a multipart up to the next line that may be a
// boundary, or deals with that line, and returns the rest of p.
func (w *Walker) body(p []byte) []byte {
	if w.lineStart || len(w.held) > 0 {
		return w.bodyLine(p)
	}
	i := bytes.Index(p, []byte("\n-"))
	if i < 0 {
		w.lineStart = p[len(p)-1] == '\n'
		w.emit(p)
		return nil
	}
	w.lineStart = true
	w.emit(p[:i+1])
	return p[i+1:]
}

// bodyLine deals with the line at the start of p, the beginning of which may be
// held, as far as it takes to know whether it is a boundary.
func (w *Walker) bodyLine(p []byte) []byte {
	if len(w.held) == 0 && p[0] != '-' {
		w.lineStart = false
		return p
	}
	n := bytes.IndexByte(p, '\n') + 1
	whole := n > 0
	if !whole {
		n = len(p)
	}
	line := p[:n]
	if len(w.held) > 0 || !whole {
		if room := w.longest() - len(w.held); n > room {
			n, whole = max(room, 0), false // too long for a boundary
		}
		w.held = append(w.held, p[:n]...)
		line = w.held
	}
	if !whole && len(w.held) < w.longest() {
		w.lineStart = false
		return p[n:]
	}
	k, last := w.match(line)
	if k >= 0 {
		w.held = w.held[:0]
		w.boundary(k, last)
		return p[n:]
	}
	w.lineStart = whole
	w.emit(line)
	w.held = w.held[:0]
	return p[n:]
}

// longest is the length that no boundary line reaches.
func (w *Walker) longest() int {
	n := 0
	for _, b := range w.bounds {
		n = max(n, len(b.delimiter))
	}
	return n + maxPadding
}

// match returns the index of the open multipart, innermost first, that line is
// a boundary of, else -1; and whether it is the last. RFC 2046, 5.1.1.
func (w *Walker) match(line []byte) (k int, last bool) {
	if len(line) < 2 || line[0] != '-' || line[1] != '-' {
		return -1, false
	}
	for k := len(w.bounds) - 1; k >= 0; k-- {
		rest, ok := bytes.CutPrefix(line, w.bounds[k].delimiter)
		if !ok {
			continue
		}
		rest, last := bytes.CutPrefix(rest, []byte("--"))
		if len(bytes.TrimRight(rest, " \t\r\n")) == 0 {
			return k, last
		}
	}
	return -1, false
}

// boundary ends the current part, and with it all multiparts within the one
// with index k.
func (w *Walker) boundary(k int, last bool) {
	w.endBody()
	if !last {
		w.depth = w.bounds[k].depth + 1
		w.bounds = w.bounds[:k+1]
		w.beginHeader(false)
		return
	}
	w.bounds = w.bounds[:k]
	w.inHeader, w.lineStart = false, true
	w.part = Part{Type: plainText, Leaf: true}
	w.openPart(&w.part)
}
