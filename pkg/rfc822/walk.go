package rfc822

import "io"

// A Part is a part of a message that a Walker has come to: the message itself,
// a body part, or a message within one.
type Part struct {
	// Header is its header block with the closing blank line if it has one, at
	// most MaxHeader octets, valid until the function that gets it returns. It
	// is empty for the text behind the last part of a multipart.
	Header []byte

	Message  bool // Header is that of a message, not of a body part
	Type     MediaType
	Encoding Encoding

	// Leaf says that the body holds no other parts. Bodies of a multipart are
	// the text around its parts; a message/rfc822 has none of its own.
	Leaf bool
}

// MaxHeader is how much of a header block is kept; what follows counts as body.
const MaxHeader = 4 << 20

// maxDepth is how deep parts may be nested. What is deeper is plain text.
const maxDepth = 50

// maxBoundary is how long a boundary may be. RFC 2046, 5.1.1, allows 70 octets;
// lines have at most 998.
const maxBoundary = 998

// A Walker finds the parts of a message that is written to it, in pieces of any
// size. Text that is not good MIME is plain text. It holds no more than one
// header block and a line; bodies are passed on as they come.
type Walker struct {
	open func(*Part) (io.WriteCloser, error)
	part Part
	sink io.WriteCloser // of the current body, nil to pass over it
	err  error

	inHeader bool
	message  bool   // the header is a message's
	head     []byte // the header as far as read
	line     int    // where the last line in head begins

	bounds    []bound
	depth     int
	lineStart bool   // the next octet begins a line
	held      []byte // the beginning of a line that may be a boundary
}

// A bound is an open multipart.
type bound struct {
	delimiter []byte // with the hyphens in front
	digest    bool
	depth     int
}

// NewWalker returns a Walker for one message. It calls open at each header,
// and for the text behind the parts of a multipart, and writes the body, still
// encoded, to what open returns, which it closes at the end of the part. nil
// passes over the body. An error of open or of these writers ends the walk: it
// is what Write and Close return.
func NewWalker(open func(*Part) (io.WriteCloser, error)) *Walker {
	w := &Walker{open: open}
	w.Reset()
	return w
}

// Reset makes w ready for another message.
func (w *Walker) Reset() {
	w.sink, w.err = nil, nil
	w.bounds, w.depth, w.held = w.bounds[:0], 0, w.held[:0]
	w.beginHeader(true)
}

// Write takes the next piece of the message.
func (w *Walker) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && w.err == nil; {
		switch {
		case w.inHeader:
			rest = w.header(rest)
		case len(w.bounds) == 0:
			w.emit(rest)
			rest = nil
		default:
			rest = w.body(rest)
		}
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Close ends the message.
func (w *Walker) Close() error {
	if w.inHeader && w.err == nil {
		w.lastHeaderLine()
	}
	if k, last := w.match(w.held); k >= 0 && w.err == nil {
		w.held = w.held[:0]
		w.boundary(k, last)
	}
	for w.inHeader && w.err == nil { // twice for a message/rfc822 without anything
		w.endHeader()
	}
	w.emit(w.held)
	w.held = w.held[:0]
	w.endBody()
	return w.err
}

func (w *Walker) emit(p []byte) {
	if w.sink == nil || w.err != nil || len(p) == 0 {
		return
	}
	_, w.err = w.sink.Write(p)
}

func (w *Walker) endBody() {
	if w.sink != nil {
		if err := w.sink.Close(); w.err == nil {
			w.err = err
		}
	}
	w.sink = nil
}
