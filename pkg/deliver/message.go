package deliver

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/spool"
)

// maxFirst is how long the first line of a message may be, with its LF.
const maxFirst = 1022

var errFirstLine = errors.New("bad first message line")

// A message is what is to be stored, with CRLF line ends.
type message struct {
	spool  spool.Spool
	bareLF bool   // it came with LF line ends
	sender string // of its From_ line, "" for none
}

// readMessage reads a message to its end: the fields that go before it, then
// what r has. The first line decides on the line ends, and is dropped where it
// is a From_ line; it must be there, and not be empty but for a CR.
func readMessage(r io.Reader, fields string) (*message, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	first, err := in.ReadSlice('\n')
	if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, err
	}
	if err != nil || len(first) > maxFirst || len(first) == 1 {
		return nil, errFirstLine
	}
	m := &message{bareLF: first[len(first)-2] != '\r'}
	var to io.Writer = &m.spool
	if _, err := io.WriteString(to, fields); err != nil {
		return nil, errors.Join(err, m.spool.Close())
	}
	if m.bareLF {
		to = &crlf{to: to}
	}
	if rest, ok := bytes.CutPrefix(first, []byte("From ")); ok {
		address, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
		m.sender = string(address)
	} else {
		_, err = to.Write(first)
	}
	if err == nil {
		_, err = fsx.Copy(to, in, nil)
	}
	if err != nil {
		return nil, errors.Join(err, m.spool.Close())
	}
	return m, nil
}

// open returns a reader of the whole message.
func (m *message) open() io.Reader { return io.NewSectionReader(&m.spool, 0, m.spool.Size()) }

// crlf puts a CR before every LF.
type crlf struct {
	to  io.Writer
	buf []byte
}

func (c *crlf) Write(p []byte) (int, error) {
	c.buf = c.buf[:0]
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			c.buf = append(c.buf, rest...)
			break
		}
		c.buf = append(append(c.buf, rest[:i]...), '\r', '\n')
		rest = rest[i+1:]
	}
	if _, err := c.to.Write(c.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}

// fields are the header fields that go before the message, RFC 5321, 4.4.
func (a *Agent) fields(recipient string, now time.Time) string {
	var b bytes.Buffer
	if a.HasFrom {
		b.WriteString("Return-Path: <" + a.From + ">\r\n")
	}
	if a.DeliveredTo {
		b.WriteString("Delivered-To: " + printable(recipient) + "\r\n")
	}
	b.WriteString("Received: via " + a.Version)
	if a.Invoker != "" {
		b.WriteString(" (invoked by user " + printable(a.Invoker) + ")")
	}
	if !a.Several {
		b.WriteString(" for " + printable(recipient))
	}
	b.WriteString("; " + now.Format("Mon, 2 Jan 2006 15:04:05 -0700 (MST)") + "\r\n")
	return b.String()
}
