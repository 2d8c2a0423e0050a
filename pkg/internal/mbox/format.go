package mbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mailutil/pkg/internal/spool"
	"mailutil/pkg/mailbox"
)

// A Formatter writes messages as they are stored.
type Formatter struct {
	Dialect Dialect // of the format Unix

	format Format
	body   spool.Spool // what follows the header, where it is counted
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
	to, header, begin := f.to, true, true
	f.line = f.line[:0]
	for {
		piece, err := f.in.ReadSlice('\n')
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if len(piece) == 0 { // the end
			break
		}
		if begin && header && IsBlank(piece) {
			header = false
			f.line = st.Append(f.line)
			if f.Dialect.counted() {
				if to, err = f.beginBody(); err != nil {
					return err
				}
				continue
			}
		} else if begin {
			f.quote(piece, header, a)
		}
		begin = piece[len(piece)-1] == '\n'
		if f.format == MMDF {
			piece = delimiters.clean(piece)
		}
		f.line = lf.Append(f.line, piece)
		if len(f.line) < enough {
			continue
		}
		if _, err := to.Write(f.line); err != nil {
			return err
		}
		f.line = f.line[:0]
	}
	a.LineEnds += lf.bare
	a.Octets += delimiters.dropped
	if !header && f.Dialect.counted() {
		return f.endBody(&lf)
	}
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
	_, err := to.Write(append(f.line, f.format.Tail()...))
	return err
}

// beginBody writes the header, all but its Content-Length and the empty line,
// and returns where the body goes.
func (f *Formatter) beginBody() (io.Writer, error) {
	_, err := f.to.Write(f.line)
	f.line = f.line[:0]
	return &f.body, err
}

// endBody writes the rest of a message whose body was counted. Its last line
// needs no end: the length tells.
func (f *Formatter) endBody(lf *LFAppender) error {
	if _, err := f.body.Write(lf.Flush(f.line)); err != nil {
		return err
	}
	f.line = fmt.Appendf(f.line[:0], "Content-Length: %d\n\n", f.body.Size())
	if _, err := f.to.Write(f.line); err != nil {
		return err
	}
	if _, err := f.body.WriteTo(f.to); err != nil {
		return err
	}
	_, err := f.to.Write([]byte(f.format.Tail()))
	return errors.Join(err, f.body.Truncate(0))
}

// Close gives up what is kept of bodies.
func (f *Formatter) Close() error { return f.body.Close() }

// IsBlank reports whether a line is empty.
func IsBlank(ln []byte) bool { return ln[0] == '\n' || len(ln) == 2 && ln[0] == '\r' && ln[1] == '\n' }

// quote begins a line that would be taken for something else when it is read.
func (f *Formatter) quote(ln []byte, header bool, a *mailbox.Altered) {
	if f.format == Unix && (ln[0] == 'F' || ln[0] == '>') {
		quote, altered := f.Dialect.wants(ln, f.env.Config)
		if quote {
			f.line = append(f.line, '>')
		}
		if altered {
			a.QuotedFrom++
		}
		return
	}
	if !header {
		return
	}
	if name, _, _ := hiddenField(ln); name != notOurs || f.Dialect.counted() && isLength(ln) {
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
