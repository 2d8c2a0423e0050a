package pop3

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/remote"
)

// How much is asked for ahead of its use, where the server can pipeline.
const (
	windowMessages = 32
	windowOctets   = 1 << 20
	maxReconnects  = 3 // in a row
)

// Open gives the text of a message. Nothing is asked for before it is read.
func (b *openBox) Open(seq uint32) (mailbox.Content, error) {
	if seq < 1 || int(seq) > len(b.msgs) {
		return nil, b.fail("open", fmt.Errorf("there is no message %d", seq))
	}
	return &content{b: b, seq: seq}, nil
}

// begin comes to the text of a message.
func (b *openBox) begin(seq uint32) error {
	if err := b.endText(); err != nil {
		return err
	}
	if len(b.queue) == 0 || b.queue[0] != seq {
		if err := b.drain(); err != nil {
			return err
		}
	}
	if err := b.ask(seq); err != nil {
		return err
	}
	b.queue = b.queue[1:]
	if _, err := b.c.answer(); err != nil {
		return err
	}
	b.text, b.of = &dotReader{c: b.c}, seq
	return nil
}

// ask asks for seq, and for those that will be wanted next.
func (b *openBox) ask(seq uint32) error {
	if len(b.queue) == 0 {
		if err := b.retr(seq); err != nil {
			return err
		}
	}
	if !b.c.has("PIPELINING") || len(b.queue) > windowMessages/2 {
		return nil
	}
	octets := int64(0)
	for _, q := range b.queue {
		octets += b.msgs[q-1].size
	}
	for next := range b.ahead.After(b.queue[len(b.queue)-1], uint32(len(b.msgs))) {
		if octets += b.msgs[next-1].size; len(b.queue) >= windowMessages || octets > windowOctets {
			return nil
		}
		if err := b.retr(next); err != nil {
			return err
		}
	}
	return nil
}

func (b *openBox) retr(seq uint32) error {
	b.queue = append(b.queue, seq)
	return b.c.write(fmt.Sprintf("RETR %d", b.msgs[seq-1].number), "")
}

// endText passes over what is left of the current text.
func (b *openBox) endText() error {
	if b.text == nil {
		return nil
	}
	t := b.text
	b.text, b.of = nil, 0
	return t.end()
}

// drain reads all that was asked for, so that another command can be sent.
func (b *openBox) drain() error {
	if err := b.endText(); err != nil {
		return err
	}
	for len(b.queue) > 0 {
		b.queue = b.queue[1:]
		_, err := b.c.answer()
		if err == nil {
			err = (&dotReader{c: b.c}).end()
		}
		if err != nil && !errors.As(err, new(*StatusError)) {
			return err
		}
	}
	return nil
}

// A content is a message that is being read.
type content struct {
	b    *openBox
	seq  uint32
	on   bool  // the text has begun
	at   int64 // octets that have come
	head []byte
	full bool // head has the header
	read int  // octets of head that were read
	err  error
}

// Size is not known before the end: what LIST tells is often wrong.
func (t *content) Size() (int64, error) { return -1, nil }

// raw reads the next octets off the wire, and goes on after a broken
// connection.
func (t *content) raw(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	for try := 0; ; try++ {
		n, err := t.tryRaw(p)
		t.at += int64(n)
		if n > 0 || err == nil || err == io.EOF {
			return n, err
		}
		if !errors.Is(err, remote.ErrLost) || try == maxReconnects {
			t.err = t.b.fail("open", err)
			return 0, t.err
		}
		if !errors.Is(err, errEnded) {
			t.b.d.env.Notify(mailbox.Warn, fmt.Sprintf("%v: connecting again", err))
		}
		t.b.c.Close()
		if err := t.b.again(); err != nil {
			t.err = t.b.fail("open", err)
			return 0, t.err
		}
		t.on = false
	}
}

func (t *content) tryRaw(p []byte) (int, error) {
	b := t.b
	if !t.on {
		if err := b.begin(t.seq); err != nil {
			return 0, err
		}
		t.on = true
		if _, err := io.CopyN(io.Discard, b.text, t.at); err != nil { // what we have already
			return 0, err
		}
	}
	if b.text == nil || b.of != t.seq {
		return 0, errors.New("the message was read further after another call")
	}
	n, err := b.text.Read(p)
	if err == io.EOF {
		return n, io.EOF
	}
	return n, err
}

// Read reads the text.
func (t *content) Read(p []byte) (int, error) {
	if t.read < len(t.head) {
		n := copy(p, t.head[t.read:])
		t.read += n
		return n, nil
	}
	if t.full {
		return t.raw(p)
	}
	if err := t.more(); err != nil {
		return 0, err
	}
	return t.Read(p)
}

// more reads a piece into head, until that has the header.
func (t *content) more() error {
	const piece = 4 << 10
	at := len(t.head)
	t.head = append(t.head, make([]byte, piece)...)
	n, err := t.raw(t.head[at:])
	t.head = t.head[:at+n]
	t.full = headerEnd(t.head) > 0 || len(t.head) >= mailbox.MaxHeader || err == io.EOF
	return err
}

// headerEnd is where the header ends, behind its blank line; 0 where it goes
// on.
func headerEnd(b []byte) int {
	if bytes.HasPrefix(b, []byte("\r\n")) {
		return 2
	}
	if i := bytes.Index(b, []byte("\n\r\n")); i >= 0 {
		return i + 3
	}
	return 0
}

// WriteTo writes the rest of the text.
func (t *content) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{t})
}

// Header returns the header block.
func (t *content) Header() ([]byte, error) {
	for !t.full {
		if err := t.more(); err != nil && err != io.EOF {
			return nil, err
		}
	}
	end := headerEnd(t.head)
	if end == 0 {
		end = len(t.head)
	}
	return t.head[:min(end, mailbox.MaxHeader)], nil
}
