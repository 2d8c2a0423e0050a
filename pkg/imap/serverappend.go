package imap

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"
	"time"

	"mailutil/pkg/internal/spool"
	"mailutil/pkg/mailbox"
)

// A held is a message of an APPEND that waits for the others.
type held struct {
	item  mailbox.Item
	words []string // its keywords
	at    int64    // where its text is
}

// append takes messages: several make one delivery, RFC 3502. They wait in a
// spool, for a delivery must know all keywords when it begins, and should not
// have a lock while it waits for a network.
func (s *Server) append(c *command) (string, error) {
	name, err := c.text()
	if err != nil || c.message < 0 {
		return "", badError("Missing or invalid argument to APPEND")
	}
	var failed error
	if !s.Tree.Writable() {
		failed = mailbox.ErrReadOnly
	} else if _, _, missing := s.Tree.Find(encodeName(name)); errors.Is(missing, mailbox.ErrNotExist) {
		failed = tryCreate{missing}
	}
	var texts spool.Spool
	defer texts.Close() // nothing in it is needed any more
	var all []held
	for more := true; more; {
		it, list, err := c.item()
		it.Flags.System = list.System
		failed = errors.Join(failed, err)
		all = append(all, held{it, list.Keywords, texts.Size()})
		if err := s.take(c, &texts, &failed); err != nil {
			return "", fatalError{err}
		}
		if more, err = s.another(c); err != nil {
			return "", fatalError{err}
		}
	}
	if failed != nil {
		return "", failed
	}
	uids, err := s.deliver(encodeName(name), all, &texts)
	if err != nil {
		return "", err
	}
	return appendCode(uids) + s.done(c), s.news()
}

// deliver puts messages into a mailbox.
func (s *Server) deliver(name string, all []held, texts *spool.Spool) (mailbox.UIDs, error) {
	keywords := s.keywordsOf(name, all)
	t, err := s.Tree.Append(s.ctx, name, mailbox.AppendOptions{Keywords: keywords})
	if err != nil {
		return mailbox.UIDs{}, err
	}
	defer t.Abort() // a no-op after Commit
	for _, h := range all {
		h.item.Flags.Keywords = bitsOf(h.words, keywords)
		h.item.Text = io.NewSectionReader(texts, h.at, h.item.Size)
		altered, err := t.Add(h.item)
		if err != nil {
			return mailbox.UIDs{}, err
		}
		if lost := len(h.words) - bits.OnesCount64(h.item.Flags.Keywords); lost > 0 || altered.Keywords > 0 {
			s.untagged("NO %d keywords of a message have no room", lost+altered.Keywords)
		}
	}
	return t.Commit()
}

// A tryCreate is a missing target, RFC 3501, 6.3.11.
type tryCreate struct{ error }

func (e tryCreate) Error() string { return "[TRYCREATE] Must create mailbox before append" }

// appendCode is APPENDUID, RFC 4315, 3; "" where the format gives UIDs later.
func appendCode(u mailbox.UIDs) string {
	switch {
	case u.Validity == 0 || u.First == 0:
		return ""
	case u.First == u.Last:
		return fmt.Sprintf("[APPENDUID %d %d] ", u.Validity, u.First)
	}
	return fmt.Sprintf("[APPENDUID %d %d:%d] ", u.Validity, u.First, u.Last)
}

// keywordsOf are those of a mailbox and of messages.
func (s *Server) keywordsOf(name string, all []held) []string {
	var out []string
	if mb, err := s.Tree.Open(s.ctx, name, mailbox.ReadOnly); err == nil {
		out = append(out, mb.Status().Keywords...)
		mb.Close() // only looked at
	}
	for _, h := range all {
		for _, k := range h.words {
			if bitsOf([]string{k}, out) == 0 {
				out = append(out, k)
			}
		}
	}
	return out[:min(len(out), mailbox.MaxKeywords)]
}

// bitsOf are the bits of words in names.
func bitsOf(words, names []string) (out uint64) {
	for _, w := range words {
		for i, n := range names {
			if strings.EqualFold(w, n) {
				out |= 1 << i
			}
		}
	}
	return out
}

// item reads the flags and the date of a message in an APPEND.
func (c *command) item() (it mailbox.Item, list mailbox.FlagList, err error) {
	it.Size = c.message
	it.Date = mailbox.DateOf(time.Now())
	c.args.space()
	if len(c.args.b) > 0 && c.args.b[0] == '(' {
		words, err := c.args.words()
		if err != nil {
			return it, list, badError("Missing or invalid flags in APPEND")
		}
		for _, w := range words {
			if err := addFlag(&list, w); err != nil && !strings.EqualFold(w, `\Recent`) {
				return it, list, err
			}
		}
		c.args.space()
	}
	if len(c.args.b) > 0 && c.args.b[0] == '"' {
		text, err := c.args.quoted()
		if err == nil {
			it.Date, err = mailbox.ParseDate(strings.TrimSpace(string(text)), time.UTC)
		}
		if err != nil {
			return it, list, badError("Missing or invalid date in APPEND")
		}
	}
	return it, list, nil
}

// take reads a message off the wire. What goes wrong with it is put in failed;
// the rest of it is then passed over.
func (s *Server) take(c *command, texts *spool.Spool, failed *error) error {
	if c.message > maxAppendLiteral || c.message == 0 { // RFC 3502 gives up by the latter
		*failed = errors.Join(*failed, fmt.Errorf("a message of %d octets", c.message))
	}
	if c.sync {
		if *failed != nil {
			c.message = -1
			return nil // the client does not send it
		}
		s.line("+ Ready for argument")
		if err := s.flush(); err != nil {
			return err
		}
	}
	w := &writeError{w: texts, err: *failed}
	err := s.receive(w, c.message)
	*failed = w.err
	return err
}

// receive passes on n octets that the client sends, out of the buffer into which
// they came. Its silence has a limit, not the whole.
func (s *Server) receive(w io.Writer, n int64) error {
	for n > 0 {
		if s.r.Buffered() == 0 {
			if err := s.AwaitMore(s.conn); err != nil {
				return err
			}
			if _, err := s.r.Peek(1); err == io.EOF {
				return io.ErrUnexpectedEOF
			} else if err != nil {
				return err
			}
		}
		b, _ := s.r.Peek(int(min(n, int64(s.r.Buffered())))) // they are there
		w.Write(b)                                           // which remembers
		s.r.Discard(len(b))
		n -= int64(len(b))
	}
	return nil
}

// A writeError takes everything, and remembers with what the first write that
// failed did so.
type writeError struct {
	w   io.Writer
	err error
}

func (e *writeError) Write(p []byte) (int, error) {
	if e.err == nil {
		_, e.err = e.w.Write(p)
	}
	return len(p), nil
}

// another reads what follows a message: the end, or a further message.
func (s *Server) another(c *command) (bool, error) {
	if c.message < 0 {
		return false, nil
	}
	c.raw, c.message = c.raw[:0], -1
	if err := s.readLine(c); err != nil {
		return false, err
	}
	line := []byte(strings.TrimRight(string(c.raw), "\r\n"))
	s.Trace("> ", line)
	c.args = parser{line}
	n, ok := literalSize(line)
	if !ok {
		if len(line) > 0 {
			return false, errHopeless
		}
		return false, nil
	}
	c.message, c.sync = n, !strings.HasSuffix(string(line), "+}")
	return true, nil
}

// copy copies messages to another mailbox, and with MOVE removes them here.
func (s *Server) copy(c *command) (string, error) {
	set, err := s.set(c)
	if err != nil {
		return "", err
	}
	name, err := c.text()
	if err == nil {
		err = c.end()
	}
	if err != nil {
		return "", err
	}
	if c.name == "MOVE" && s.box.mb.Status().ReadOnly {
		return "", mailbox.ErrReadOnly
	}
	if _, _, missing := s.Tree.Find(encodeName(name)); errors.Is(missing, mailbox.ErrNotExist) {
		return "", tryCreate{missing}
	}
	code, err := s.copyTo(set, encodeName(name))
	if err != nil || c.name == "COPY" {
		return code + s.done(c), err
	}
	if code != "" {
		s.untagged("OK %s", code)
	}
	if _, err := s.box.mb.Expunge(set); err != nil {
		return "", err
	}
	return s.done(c), s.tell()
}

// copyTo copies, and returns the COPYUID of it, RFC 4315, 3.
func (s *Server) copyTo(set mailbox.Set, name string) (string, error) {
	st := s.box.mb.Status()
	t, err := s.Tree.Append(s.ctx, name, mailbox.AppendOptions{Keywords: st.Keywords})
	if err != nil {
		return "", err
	}
	defer t.Abort() // a no-op after Commit
	var from []string
	for m, err := range s.box.mb.Messages(set) {
		if err != nil {
			return "", err
		}
		text, err := s.box.mb.Open(m.Seq)
		if err != nil {
			return "", err
		}
		m.Flags.System &^= mailbox.Recent
		if _, err := t.Add(mailbox.Item{Message: m, Text: text}); err != nil {
			return "", err
		}
		from = append(from, fmt.Sprint(m.UID))
	}
	uids, err := t.Commit()
	if err != nil || uids.Validity == 0 || len(from) == 0 {
		return "", err
	}
	return fmt.Sprintf("[COPYUID %d %s %d:%d] ", uids.Validity, strings.Join(from, ","), uids.First, uids.Last), nil
}
