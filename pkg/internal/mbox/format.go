package mbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mailutil/pkg/mailbox"
)

// A Formatter writes messages as they are stored.
type Formatter struct {
	format Format
	env    *mailbox.Env
	to     io.Writer
	in     *bufio.Reader
	line   []byte // what is about to be written
}

// enough is how much is written at once.
const enough = 64 << 10

// NewFormatter returns a Formatter that writes to to, in the format Unix.
func NewFormatter(env *mailbox.Env, to io.Writer) *Formatter { return Unix.NewFormatter(env, to) }

// NewFormatter returns a Formatter that writes to to.
func (f Format) NewFormatter(env *mailbox.Env, to io.Writer) *Formatter {
	return &Formatter{format: f, env: env, to: to, in: bufio.NewReaderSize(nil, 64<<10)}
}

// Message writes one message with the status block st, and what stands around
// it.
func (f *Formatter) Message(it mailbox.Item, st State) (mailbox.Altered, error) {
	var a mailbox.Altered
	counted := &counter{r: it.Text}
	f.in.Reset(counted)
	date, ok := storable(it.Date, f.env.Now)
	if !ok {
		a.Dates++
	}
	sender := it.Sender
	if sender == "" {
		head, err := f.in.Peek(f.in.Size())
		if err != nil && err != io.EOF {
			return a, err
		}
		sender = returnPath(head)
	}
	f.line = AppendFrom(append(f.line[:0], f.format.Lead()...), CleanSender(sender), date)
	if _, err := f.to.Write(f.line); err != nil {
		return a, err
	}
	if err := f.text(st, &a); err != nil {
		return a, err
	}
	if it.Size >= 0 && counted.n != it.Size {
		return a, fmt.Errorf("message has %d octets, not %d as was said", counted.n, it.Size)
	}
	return a, nil
}

// text writes header, status block, body, and what stands behind it.
func (f *Formatter) text(st State, a *mailbox.Altered) error {
	var lf LFAppender
	var delimiters breaker
	header, begin := true, true
	f.line = f.line[:0]
	for {
		piece, err := f.in.ReadSlice('\n')
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if len(piece) == 0 { // the end
			break
		}
		if begin {
			if header && IsBlank(piece) {
				header = false
				f.line = st.Append(f.line)
			} else {
				f.quote(piece, header, a)
			}
		}
		begin = piece[len(piece)-1] == '\n'
		if f.format == MMDF {
			piece = delimiters.clean(piece)
		}
		f.line = lf.Append(f.line, piece)
		if len(f.line) < enough {
			continue
		}
		if _, err := f.to.Write(f.line); err != nil {
			return err
		}
		f.line = f.line[:0]
	}
	a.LineEnds += lf.bare
	a.Octets += delimiters.dropped
	if !begin {
		a.Newlines++
		if lf.held > 0 { // CR CR LF is how a CR at the end of a line is kept
			f.line = append(lf.Flush(f.line), '\r')
		}
		f.line = append(f.line, '\n')
	}
	if header {
		a.Newlines++
		f.line = append(st.Append(f.line), '\n')
	}
	_, err := f.to.Write(append(f.line, f.format.Tail()...))
	return err
}

// IsBlank reports whether a line is empty.
func IsBlank(ln []byte) bool { return ln[0] == '\n' || len(ln) == 2 && ln[0] == '\r' && ln[1] == '\n' }

// quote begins a line that would be taken for something else when it is read.
func (f *Formatter) quote(ln []byte, header bool, a *mailbox.Altered) {
	if f.format == Unix && ln[0] == 'F' && bytes.HasPrefix(ln, []byte("From ")) {
		if _, ok := ParseFrom(ln); ok || !f.env.Config.FromHeaderOnly {
			f.line = append(f.line, '>')
			a.QuotedFrom++
		}
		return
	}
	if !header {
		return
	}
	if name, _, _ := hiddenField(ln); name != notOurs {
		f.line = append(f.line, "X-Original-"...)
		a.RenamedHeaders++
	}
}

// A counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// storable returns the date to be written: now for none, or for one that a
// From_ line cannot hold (ok is false then).
func storable(d mailbox.Date, now func() time.Time) (_ mailbox.Date, ok bool) {
	if d.IsZero() {
		return mailbox.DateOf(now()), true
	}
	zone := max(d.Zone, -d.Zone)
	ok = d.Year >= 1970 && d.Year <= 2097 && d.Month >= 1 && d.Month <= 12 && d.Day >= 1 && d.Day <= 31 &&
		d.Hour < 24 && d.Minute < 60 && d.Second <= 60 && zone < 100*60
	if !ok {
		d = mailbox.DateOf(now())
	}
	return d, ok
}

const nobody = "MAILER-DAEMON"

// CleanSender makes an address fit for a From_ line.
func CleanSender(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return -1
		}
		return r
	}, strings.TrimSpace(s))
	if s == "" {
		return nobody
	}
	return s
}

// returnPath is the address of the Return-Path field of a header, "" for none.
func returnPath(head []byte) string {
	const name = "Return-Path:"
	for len(head) > 0 && !IsBlank(head) {
		ln, rest, _ := bytes.Cut(head, []byte("\n"))
		if len(ln) > len(name) && strings.EqualFold(string(ln[:len(name)]), name) {
			v := strings.TrimSpace(string(ln[len(name):]))
			return strings.Trim(v, "<>")
		}
		head = rest
	}
	return ""
}
