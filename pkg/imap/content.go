package imap

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/remote"
)

// Open gives the text of a message. Nothing is asked for before it is read.
func (b *openBox) Open(seq uint32) (mailbox.Content, error) {
	if seq < 1 || int(seq) > len(b.msgs) {
		return nil, b.fail("open", fmt.Errorf("there is no message %d", seq))
	}
	return &content{b: b, seq: seq, uid: b.msgs[seq-1].uid, size: -1}, nil
}

// headPiece is how much of a text is read at a time to find its header.
const headPiece = 4 << 10

// A content is a message that is being read.
type content struct {
	b    *openBox
	seq  uint32
	uid  uint32
	size int64 // of the whole text; -1 before it has come

	at   int64  // octets that have come
	head []byte // the header block as far as it has come, with what came along
	ends int    // where the header ends in head; 0 for not known
	read int    // octets of head that were read
	err  error
}

// Size returns how many octets the text has, exactly, whatever the index says.
func (t *content) Size() (int64, error) {
	if err := t.start(); err != nil {
		return 0, err
	}
	return t.size, nil
}

// start comes to the text.
func (t *content) start() error {
	if t.size >= 0 || t.err != nil {
		return t.err
	}
	n, err := t.b.pipe.body(t.seq, 0)
	if err != nil {
		t.err = t.b.fail("open", err)
		return t.err
	}
	t.size = n
	t.head = t.b.pipe.head[:0]
	t.b.msgs[t.seq-1].size = n
	return nil
}

// come returns what has come of the text and was not taken yet: an octet at
// least, as a view of the connection's buffer. It goes on after a broken
// connection.
func (t *content) come() ([]byte, error) {
	if err := t.start(); err != nil {
		return nil, err
	}
	if t.at == t.size {
		return nil, io.EOF
	}
	pipe := &t.b.pipe
	if pipe.current != t.seq {
		return nil, t.fail(errors.New("the message was read further after another call"))
	}
	b, err := pipe.peek()
	for try := 0; err != nil && errors.Is(err, remote.ErrLost) && try < maxReconnects; try++ {
		t.b.c.fatal(err)
		if err = t.goOn(err); err == nil {
			b, err = pipe.peek()
		}
	}
	if err != nil {
		return nil, t.fail(t.b.c.fatal(err))
	}
	return b, nil
}

// took is done with n octets of those.
func (t *content) took(n int) {
	t.b.pipe.discard(n)
	t.at += int64(n)
}

// goOn asks for the rest of the text on a new connection.
func (t *content) goOn(why error) error {
	if err := t.b.pipe.reconnect(why); err != nil {
		return err
	}
	if t.at == t.size {
		return nil
	}
	n, err := t.b.pipe.body(t.seq, t.at)
	if err == nil && n != t.size-t.at {
		return fmt.Errorf("%w: message %d had %d octets and has %d", mailbox.ErrChanged, t.seq, t.size, t.at+n)
	}
	return err
}

func (t *content) fail(err error) error {
	t.err = t.b.fail("open", err)
	return t.err
}

// Read reads the text.
func (t *content) Read(p []byte) (int, error) {
	for t.read == len(t.head) {
		if t.ends > 0 {
			b, err := t.come()
			n := copy(p, b)
			t.took(n)
			return n, err
		}
		if err := t.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, t.head[t.read:])
	t.read += n
	return n, nil
}

// WriteTo writes the rest of the text, out of the buffer that it came into.
func (t *content) WriteTo(w io.Writer) (int64, error) {
	var done int64
	for {
		n, err := t.pass(w)
		done += int64(n)
		if err == io.EOF {
			return done, nil
		}
		if err != nil {
			return done, err
		}
	}
}

// pass writes what there is of the text: nothing where it went into head.
func (t *content) pass(w io.Writer) (int, error) {
	if t.read < len(t.head) {
		n, err := w.Write(t.head[t.read:])
		t.read += n
		return n, err
	}
	if t.ends == 0 {
		return 0, t.more()
	}
	b, err := t.come()
	if err != nil {
		return 0, err
	}
	n, err := w.Write(b)
	t.took(n)
	return n, err
}

// more reads a piece of the text into head, until that has the header.
func (t *content) more() error {
	b, err := t.come()
	if err == io.EOF {
		t.ends = max(len(t.head), 1)
	}
	if err != nil {
		return err
	}
	b = b[:min(len(b), headPiece)]
	at := max(len(t.head)-len("\r\n\r"), 0) // a blank line may begin there
	t.head = append(t.head, b...)
	t.b.pipe.head = t.head
	t.took(len(b))
	if end := headerEnd(t.head[at:], at == 0); end > 0 {
		t.ends = min(at+end, mailbox.MaxHeader)
	} else if len(t.head) >= mailbox.MaxHeader {
		t.ends = mailbox.MaxHeader
	}
	return nil
}

// headerEnd is where the header ends in b, behind its blank line; 0 where it
// goes on. first says that b is the beginning of the text.
func headerEnd(b []byte, first bool) int {
	if first && bytes.HasPrefix(b, []byte("\r\n")) {
		return len("\r\n")
	}
	if i := bytes.Index(b, []byte("\n\r\n")); i >= 0 {
		return i + len("\n\r\n")
	}
	return 0
}

// Header returns the header block. Where nothing has been read of the text yet
// it is asked for alone, and with it those of the messages behind.
func (t *content) Header() ([]byte, error) {
	if t.size < 0 && t.err == nil {
		return t.b.pipe.header(t.seq)
	}
	for t.ends == 0 {
		if err := t.more(); err != nil && err != io.EOF {
			return nil, err
		}
	}
	return t.head[:min(t.ends, len(t.head))], nil
}

// header returns the header block of a message.
func (p *pipe) header(seq uint32) ([]byte, error) {
	for try := 0; ; try++ {
		if h, ok := p.heads[seq]; ok {
			return h, nil
		}
		err := p.readHeaders(seq)
		if errors.Is(err, remote.ErrLost) && try < maxReconnects {
			err = p.reconnect(err)
		} else if _, ok := p.heads[seq]; err == nil && !ok {
			err = fmt.Errorf("%w: the server does not give the header of message %d", mailbox.ErrChanged, seq)
		}
		if err != nil {
			return nil, p.b.fail("open", err)
		}
	}
}

// readHeaders reads a window of header blocks.
func (p *pipe) readHeaders(seq uint32) error {
	if err := p.drain(); err != nil {
		return err
	}
	most := 1
	if p.heads != nil || seq == p.after(0) {
		most = headWindow
	}
	p.heads = map[uint32][]byte{}
	seqs := []uint32{seq}
	for next := range p.ahead.After(seq, uint32(len(p.b.msgs))) {
		if len(seqs) >= most {
			break
		}
		seqs = append(seqs, next)
	}
	tag, err := p.b.c.send("UID FETCH %s (UID BODY.PEEK[HEADER]<0.%d>)", p.b.uids(seqs), mailbox.MaxHeader)
	if err != nil {
		return err
	}
	p.flights = []flight{{tag, seqs}}
	kept := 0
	for len(p.flights) > 0 {
		if err := p.nextHeader(seq, &kept); err != nil {
			return p.b.c.fatal(err)
		}
	}
	return nil
}

// nextHeader reads one response, and keeps its header where there is room.
func (p *pipe) nextHeader(wanted uint32, kept *int) error {
	c := p.b.c
	if c.broken != nil {
		return c.broken
	}
	c.in.begin()
	for {
		n, err := c.in.more()
		if err != nil {
			return err
		}
		if n < 0 {
			_, _, err := p.whole()
			return err
		}
		if !isItem(c.in.line, "BODY[HEADER]") {
			if err := c.in.keep(n); err != nil {
				return err
			}
			continue
		}
		if err := p.keepHeader(n, wanted, kept); err != nil {
			return err
		}
		c.in.passed()
	}
}

// keepHeader reads a header block of n octets.
func (p *pipe) keepHeader(n int64, wanted uint32, kept *int) error {
	if n > mailbox.MaxHeader {
		return &ProtocolError{fmt.Sprintf("a header of %d octets where %d were asked for", n, mailbox.MaxHeader)}
	}
	seq := p.whose()
	if seq != wanted && *kept+int(n) > mailbox.MaxHeader {
		_, err := io.CopyN(io.Discard, p.b.c.R, n)
		return err
	}
	block := make([]byte, n)
	if _, err := io.ReadFull(p.b.c.R, block); err != nil {
		return err
	}
	if seq > 0 {
		p.heads[seq] = block
		*kept += int(n)
	}
	return nil
}
