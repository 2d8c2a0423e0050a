package imap

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/rfc822"
)

// An item is one of a FETCH.
type item struct {
	name    string // FLAGS, ...; BODY[ for a section
	section section
	peek    bool
	as      string // how it is named in the answer
}

// A section is a part of a text, RFC 3501, 6.4.5.
type section struct {
	numbers []int
	what    string // "", HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT, MIME
	fields  []string
	partial bool
	from, n int64
}

// fetch answers FETCH.
func (s *Server) fetch(c *command) (string, error) {
	set, err := s.set(c)
	if err != nil {
		return "", err
	}
	items, err := c.items()
	if err == nil {
		err = c.end()
	}
	if err != nil {
		return "", err
	}
	if c.uid && !slices.ContainsFunc(items, func(i item) bool { return i.name == "UID" }) {
		items = append([]item{{name: "UID"}}, items...)
	}
	marked, err := s.markSeen(set, items)
	if err != nil {
		return "", err
	}
	keywords := s.box.mb.Status().Keywords // once: a Status counts all messages
	for m, err := range s.box.mb.Messages(set) {
		if err != nil {
			return "", err
		}
		asked := items
		if marked.Contains(m.Seq) && !slices.ContainsFunc(items, func(i item) bool { return i.name == "FLAGS" }) {
			asked = append(items[:len(items):len(items)], item{name: "FLAGS"}) // RFC 3501, 6.4.5
		}
		if err := s.fetchOne(&fetchedMessage{s: s, m: m, keywords: keywords}, asked); err != nil {
			return "", err
		}
		if err := s.AwaitReader(s.conn); err != nil {
			return "", fatalError{err}
		}
	}
	return s.done(c), nil
}

// markSeen sets Seen where a text is read without PEEK, and returns on which
// messages.
func (s *Server) markSeen(set mailbox.Set, items []item) (unseen mailbox.Set, err error) {
	reads := slices.ContainsFunc(items, func(i item) bool { return i.name == "BODY[" && !i.peek })
	if !reads || s.box.mb.Status().ReadOnly {
		return unseen, nil
	}
	for m, err := range s.box.mb.Messages(set) {
		if err != nil {
			return unseen, err
		}
		if m.Flags.System&mailbox.Seen == 0 {
			unseen.Add(m.Seq)
			s.box.known[m.Seq-1].flags.System |= mailbox.Seen
		}
	}
	if unseen.Empty() {
		return unseen, nil
	}
	return unseen, s.box.mb.Store(unseen, mailbox.Add, mailbox.FlagList{System: mailbox.Seen})
}

// items reads what is to be fetched.
func (c *command) items() ([]item, error) {
	c.args.space()
	bad := badError("Missing or invalid argument to FETCH")
	var out []item
	if len(c.args.b) == 0 {
		return nil, bad
	}
	if c.args.b[0] != '(' {
		i, err := c.args.item()
		if err != nil {
			return nil, bad
		}
		return i, nil
	}
	err := c.args.list(func() error {
		i, err := c.args.item()
		out = append(out, i...)
		return err
	})
	if err != nil || len(out) == 0 {
		return nil, bad
	}
	return out, nil
}

// item reads one item, or a macro that stands for several.
func (p *parser) item() ([]item, error) {
	var names []string
	word := string(p.word())
	switch up := strings.ToUpper(word); up {
	case "ALL":
		names = []string{"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"}
	case "FAST":
		names = []string{"FLAGS", "INTERNALDATE", "RFC822.SIZE"}
	case "FULL":
		names = []string{"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"}
	case "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE", "UID":
		names = []string{up}
	case "RFC822":
		return []item{{name: "BODY[", as: up}}, nil
	case "RFC822.HEADER":
		return []item{{name: "BODY[", section: section{what: "HEADER"}, peek: true, as: up}}, nil
	case "RFC822.TEXT":
		return []item{{name: "BODY[", section: section{what: "TEXT"}, as: up}}, nil
	default:
		i, err := parseSection(word)
		return []item{i}, err
	}
	var out []item
	for _, n := range names {
		out = append(out, item{name: n})
	}
	return out, nil
}

// parseSection reads BODY[section]<from.n> and BODY.PEEK[...].
func parseSection(word string) (i item, err error) {
	up := upper(word)
	rest, ok := strings.CutPrefix(up, "BODY[")
	if !ok {
		rest, i.peek = strings.CutPrefix(up, "BODY.PEEK[")
	}
	if !ok && !i.peek {
		return i, errSyntax
	}
	i.name = "BODY["
	end := strings.LastIndexByte(rest, ']')
	if end < 0 {
		return i, errSyntax
	}
	inside, behind := rest[:end], rest[end+1:]
	spelled := word[len(word)-len(rest):][:end]
	i.as = "BODY[" + spelled + "]"
	if behind != "" {
		if err := i.section.setPartial(behind); err != nil {
			return i, err
		}
		i.as += fmt.Sprintf("<%d>", i.section.from)
	}
	return i, i.section.parse(inside)
}

func (x *section) setPartial(s string) error {
	s, ok := strings.CutPrefix(s, "<")
	s, ok2 := strings.CutSuffix(s, ">")
	from, n, ok3 := strings.Cut(s, ".")
	var err, err2 error
	x.from, err = strconv.ParseInt(from, 10, 63)
	x.n, err2 = strconv.ParseInt(n, 10, 63)
	x.partial = true
	if !ok || !ok2 || !ok3 || err != nil || err2 != nil || x.from < 0 || x.n <= 0 {
		return errSyntax
	}
	return nil
}

// parse reads "1.2.HEADER.FIELDS (A B)".
func (x *section) parse(s string) error {
	for len(s) > 0 && s[0] >= '0' && s[0] <= '9' {
		word, rest, more := strings.Cut(s, ".")
		n, err := strconv.ParseUint(word, 10, 31)
		if err != nil || n == 0 || len(x.numbers) > maxPartDepth || more && rest == "" {
			return errSyntax
		}
		x.numbers = append(x.numbers, int(n))
		s = rest
	}
	what, list, _ := strings.Cut(s, " ")
	x.what = what
	switch what {
	case "", "HEADER", "TEXT":
	case "MIME":
		if len(x.numbers) == 0 {
			return errSyntax
		}
	case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
		p := parser{[]byte(list)}
		err := p.list(func() error {
			f, _, err := p.text()
			x.fields = append(x.fields, string(f))
			return err
		})
		if err != nil || len(x.fields) == 0 {
			return errSyntax
		}
		return nil
	default:
		return errSyntax
	}
	if list != "" {
		return errSyntax
	}
	return nil
}

// A fetched is one message at work.
type fetchedMessage struct {
	s        *Server
	m        mailbox.Message
	keywords []string // the names of their bits
	head     []byte   // nil: not read
	root     *part    // nil: not read
}

func (s *Server) fetchOne(f *fetchedMessage, items []item) error {
	m := f.m
	// What can go wrong is done before a word of the answer is sent: then a
	// message that cannot be read is a NO, and the session goes on.
	type answer struct {
		text []byte
		cut  *cut
	}
	var out []answer
	for _, i := range items {
		text, cut, err := f.prepare(i)
		if err != nil {
			return fmt.Errorf("message %d: %w", m.Seq, err)
		}
		out = append(out, answer{text, cut})
	}
	fmt.Fprintf(s.w, "* %d FETCH (", m.Seq)
	for i, a := range out {
		if i > 0 {
			s.w.WriteByte(' ')
		}
		s.w.Write(a.text)
		if a.cut != nil {
			if err := f.send(*a.cut); err != nil {
				return fatalError{err}
			}
		}
	}
	s.Trace("< ", fmt.Appendf(nil, "* %d FETCH (%s ...)", m.Seq, out[0].text))
	s.w.WriteString(")\r\n")
	return nil
}

// A cut is a stretch of a text that is to be sent.
type cut struct{ from, n int64 }

// prepare makes the answer to an item, but for the text that is to be streamed.
func (f *fetchedMessage) prepare(i item) ([]byte, *cut, error) {
	b := []byte(i.name + " ")
	switch i.name {
	case "UID":
		return fmt.Appendf(b, "%d", f.m.UID), nil, nil
	case "FLAGS":
		return fmt.Appendf(b, "(%s)", flagWords(f.m.Flags, f.keywords)), nil, nil
	case "INTERNALDATE":
		d := f.m.Date
		if d.IsZero() {
			d = mailbox.Date{Year: 1970, Month: 1, Day: 1}
		}
		return fmt.Appendf(b, "%q", d.String()), nil, nil
	case "RFC822.SIZE":
		return fmt.Appendf(b, "%d", f.m.Size), nil, nil
	case "ENVELOPE":
		head, err := f.header()
		return appendEnvelope(b, head), nil, err
	case "BODY", "BODYSTRUCTURE":
		root, err := f.structure()
		if err != nil {
			return nil, nil, err
		}
		return appendStructure(b, root, i.name == "BODYSTRUCTURE"), nil, nil
	}
	return f.section(i)
}

// header returns the header block, which is ours.
func (f *fetchedMessage) header() ([]byte, error) {
	if f.head != nil {
		return f.head, nil
	}
	c, err := f.s.box.mb.Open(f.m.Seq)
	if err != nil {
		return nil, err
	}
	h, err := c.Header()
	f.head = append([]byte{}, h...)
	return f.head, err
}

func (f *fetchedMessage) structure() (*part, error) {
	if f.root != nil {
		return f.root, nil
	}
	c, err := f.s.box.mb.Open(f.m.Seq)
	if err != nil {
		return nil, err
	}
	f.root, err = splitMessage(c)
	return f.root, err
}

// section finds a section, and what of it is asked for.
func (f *fetchedMessage) section(i item) ([]byte, *cut, error) {
	x := i.section
	if strings.HasPrefix(x.what, "HEADER.FIELDS") {
		return f.fields(i)
	}
	c, err := f.locate(x)
	if errors.Is(err, errSection) {
		return []byte(i.as + " NIL"), nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	c = x.limit(c)
	return fmt.Appendf(nil, "%s {%d}\r\n", i.as, c.n), &c, nil
}

// limit cuts a stretch down to the partial one that is asked for.
func (x section) limit(c cut) cut {
	if !x.partial {
		return c
	}
	from := min(x.from, c.n)
	return cut{c.from + from, min(x.n, c.n-from)}
}

// locate finds where a section is.
func (f *fetchedMessage) locate(x section) (cut, error) {
	if len(x.numbers) == 0 {
		if x.what == "" {
			return cut{0, f.m.Size}, nil
		}
		head, err := f.header()
		n := int64(len(head))
		if x.what == "HEADER" {
			return cut{0, n}, err
		}
		return cut{n, f.m.Size - n}, err
	}
	root, err := f.structure()
	if err != nil {
		return cut{}, err
	}
	p, err := root.find(x.numbers)
	if err != nil {
		return cut{}, err
	}
	switch x.what {
	case "":
		return cut{p.bodyAt, p.end - p.bodyAt}, nil
	case "MIME":
		return cut{p.headerAt, p.bodyAt - p.headerAt}, nil
	}
	if !p.isMessage() {
		return cut{}, errSection
	}
	inner := p.parts[0]
	if x.what == "HEADER" {
		return cut{inner.headerAt, inner.bodyAt - inner.headerAt}, nil
	}
	return cut{inner.bodyAt, inner.end - inner.bodyAt}, nil
}

// fields answers HEADER.FIELDS and HEADER.FIELDS.NOT: whole fields as they
// stand, and a blank line.
func (f *fetchedMessage) fields(i item) ([]byte, *cut, error) {
	x := i.section
	head, err := f.header()
	if err != nil {
		return nil, nil, err
	}
	if len(x.numbers) > 0 {
		root, err := f.structure()
		if err != nil {
			return nil, nil, err
		}
		p, err := root.find(x.numbers)
		if err != nil || !p.isMessage() {
			return []byte(i.as + " NIL"), nil, nil
		}
		head = p.parts[0].header
	}
	out := pickFields(head, x.fields, x.what == "HEADER.FIELDS.NOT")
	c := x.limit(cut{0, int64(len(out))})
	return append(fmt.Appendf(nil, "%s {%d}\r\n", i.as, c.n), out[c.from:c.from+c.n]...), nil, nil
}

func pickFields(head []byte, names []string, not bool) []byte {
	var out []byte
	for name, raw := range rfc822.Fields(head) {
		named := slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, string(name)) })
		if named == not {
			continue
		}
		out = append(append(out, name...), ':')
		out = append(append(out, raw...), "\r\n"...)
	}
	return append(out, "\r\n"...)
}

// send streams a stretch of the text. What was announced is sent: a message
// that has become shorter ends the session.
func (f *fetchedMessage) send(c cut) error {
	if c.n == 0 {
		return nil
	}
	text, err := f.s.box.mb.Open(f.m.Seq)
	if err != nil {
		return err
	}
	w := &clip{s: f.s, cut: c}
	_, err = text.WriteTo(w)
	switch {
	case w.n == 0: // that it is longer is no matter
		return w.err
	case err == nil:
		return fmt.Errorf("message %d has %d octets fewer than announced", f.m.Seq, w.n)
	}
	return err
}

// A clip passes a stretch of a text on to a client, and limits how long that
// may take nothing.
type clip struct {
	s *Server
	cut
	err error
}

// errEnough is what a clip says when it has all that it wants.
var errEnough = errors.New("no more is wanted")

func (w *clip) Write(p []byte) (int, error) {
	all := len(p)
	skip := min(w.from, int64(len(p)))
	w.from -= skip
	p = p[skip:]
	p = p[:min(w.n, int64(len(p)))]
	if w.err = w.s.AwaitReader(w.s.conn); w.err == nil {
		_, w.err = w.s.w.Write(p)
	}
	if w.err != nil {
		return 0, w.err
	}
	if w.n -= int64(len(p)); w.n == 0 {
		return all, errEnough
	}
	return all, nil
}
