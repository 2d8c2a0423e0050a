package ops

import (
	"context"
	"crypto/sha256"
	"errors"
	"path"
	"slices"
	"strings"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/search"
)

// A Transfer is a mailbox, or some of its messages, and the name that these are
// to have.
type Transfer struct {
	Source, Target string
	Where          *search.Criteria // only the messages that meet them; nil for all
	Folder         string           // as in CopyOptions
}

// HierarchyOptions say how mailboxes are found and named.
type HierarchyOptions struct {
	Origin  Origin // whose folders they are: see Origin.Nested
	ByLabel bool   // of a Takeout: a mailbox for each label, not for each source
}

// A Hierarchy is what a transfer has to do.
type Hierarchy struct {
	Transfers []Transfer
	Flat      bool     // the delimiter of the destination is not known, so that none was translated
	Unread    []error  // directories of the source that could not be read
	LeftOut   []string // what is no folder of the Origin
	Apart     []string // targets that others are below, and that got another name, since no file is a directory
}

// Hierarchy lists the mailboxes whose names begin with src, in which * and % are
// those of LIST (RFC 3501, 6.3.8), and what each is called below dst: dst and
// the name, one behind the other, nothing in between.
// The host of a remote name is left out. Where the two places have different
// delimiters, each takes the place of the other.
func (s *Session) Hierarchy(ctx context.Context, src, dst string, o HierarchyOptions) (h Hierarchy, err error) {
	to, known, err := s.delimiter(ctx, dst)
	if err != nil {
		return h, err
	}
	prefix := src[:literal(src)]
	all, unread, err := s.Mailboxes(ctx, prefix)
	if err != nil {
		return h, err
	}
	if prefix != src {
		all = slices.DeleteFunc(all, func(e mailbox.Entry) bool { return !ofPattern(atHost(e.Name), atHost(src)+"*", e.Delimiter) })
	}
	h.Flat, h.Unread = !known, unread
	if o.Origin == Thunderbird {
		all, h.LeftOut = s.thunderbirdFolders(all)
	}
	for _, e := range all {
		name := o.Origin.Nested(atHost(e.Name))
		if known {
			name = translate(name, e.Delimiter, to)
		}
		h.Transfers = append(h.Transfers, Transfer{Source: e.Name, Target: dst + name})
	}
	if o.ByLabel {
		if h.Transfers, err = s.byLabel(ctx, h.Transfers, dst, to); err != nil {
			return h, err
		}
	}
	if o.Origin != NoOrigin {
		err = s.setApart(&h)
	}
	return h, err
}

// atHost is a name without its {host}.
func atHost(name string) string {
	if strings.HasPrefix(name, "{") {
		return name[strings.IndexByte(name, '}')+1:]
	}
	return name
}

// literal is how many octets of a pattern come before its first wildcard. There
// is none in the name of a host.
func literal(pattern string) int {
	host := len(pattern) - len(atHost(pattern))
	if i := strings.IndexAny(pattern[host:], "*%"); i >= 0 {
		return host + i
	}
	return len(pattern)
}

// ofPattern reports whether a name is of a pattern. INBOX is in any case.
func ofPattern(name, pattern string, delimiter byte) bool {
	if strings.EqualFold(name, "INBOX") {
		name, pattern = strings.ToUpper(name), strings.ToUpper(pattern)
	}
	n := literal(pattern)
	if n == len(pattern) {
		return name == pattern
	}
	if !strings.HasPrefix(name, pattern[:n]) {
		return false
	}
	name, rest := name[n:], pattern[n+1:]
	for i := 0; ; i++ {
		if pattern[n] == '*' && rest == "" || ofPattern(name[i:], rest, delimiter) {
			return true
		}
		if i == len(name) || pattern[n] == '%' && name[i] == delimiter {
			return false
		}
	}
}

// byLabel puts transfers of folders in the place of those of whole mailboxes.
// One that cannot be opened stays: its turn will come.
func (s *Session) byLabel(ctx context.Context, all []Transfer, dst string, delimiter byte) (out []Transfer, err error) {
	for _, t := range all {
		folders, err := s.folders(ctx, t.Source)
		if ctx.Err() != nil {
			return nil, err
		}
		if err != nil {
			out = append(out, t)
		}
		for _, f := range folders {
			name := f.name
			if delimiter != 0 {
				name = translate(name, '/', delimiter)
			}
			out = append(out, Transfer{t.Source, dst + name, search.Messages(f.messages), f.name})
		}
	}
	return out, nil
}

// setApart gives those targets another name that others are below, where no file
// can be a directory as well: Name becomes Name/Name. An empty file that only
// stands for what is below it is left out.
func (s *Session) setApart(h *Hierarchy) error {
	above := map[string]bool{} // names that others are below
	taken := map[string]bool{}
	for _, t := range h.Transfers {
		taken[t.Target] = true
		for i, c := range t.Target {
			if c == '/' {
				above[t.Target[:i]] = true
			}
		}
	}
	kept := h.Transfers[:0]
	for _, t := range h.Transfers {
		if above[t.Target] {
			files, err := s.isFile(t.Target)
			switch {
			case err != nil:
				return err
			case files && s.isEmptyFile(t.Source):
				h.LeftOut = append(h.LeftOut, t.Source)
				continue
			case files:
				for t.Target += "/" + path.Base(t.Target); taken[t.Target]; t.Target += "_" {
				}
				h.Apart = append(h.Apart, t.Target)
			}
		}
		kept = append(kept, t)
	}
	h.Transfers = kept
	return nil
}

// isFile reports whether a new mailbox will be one file.
func (s *Session) isFile(name string) (bool, error) {
	n, err := s.Env.ResolveTarget(name)
	if err != nil || n.Space != "" {
		return false, err
	}
	d, err := s.newFormat(n)
	_, dir := d.(mailbox.Parent)
	return !dir, err
}

// translate writes a name with another delimiter. What is the new one, and was
// none, becomes the old one, or an x where there was none.
func translate(name string, from, to byte) string {
	if from == to {
		return name
	}
	b := []byte(name)
	for i, c := range b {
		switch {
		case c == from && from != 0 && to != 0:
			b[i] = to
		case c == to && from != 0:
			b[i] = from
		case c == to:
			b[i] = 'x'
		}
	}
	return string(b)
}

// delimiter returns what stands between the levels of names that begin with
// dst.
func (s *Session) delimiter(ctx context.Context, dst string) (delimiter byte, known bool, err error) {
	n, err := s.Env.ResolveTarget(dst + "x") // a prefix alone may be no name
	if err != nil {
		return 0, false, err
	}
	if n.Remote == (mailbox.Remote{}) {
		return '/', true, nil
	}
	l, ok := s.Drivers.Named(n.Space).(mailbox.Lister)
	if !ok {
		return 0, false, nil
	}
	// What there is below the prefix knows, or what there is at all.
	root := dst[:strings.IndexByte(dst, '}')+1]
	for _, prefix := range []string{dst, root} {
		at, err := s.Env.Resolve(prefix)
		if prefix == "" || errors.Is(err, mailbox.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, false, err
		}
		for e, err := range l.List(ctx, at) {
			return e.Delimiter, err == nil, err
		}
	}
	return 0, false, nil
}

// A fingerprint tells messages apart by what every format keeps of them.
type fingerprint [16]byte

func fingerprintOf(mb mailbox.Mailbox, seq uint32) (f fingerprint, err error) {
	text, err := mb.Open(seq)
	if err != nil {
		return f, err
	}
	sum := sha256.New()
	if err := writeEssence(sum, text); err != nil {
		return f, err
	}
	return fingerprint(sum.Sum(nil)[:len(f)]), nil
}

// leaveOut takes the messages that the target has already from those that are
// to be copied. One that is there once and here twice is copied once.
func (c *copier) leaveOut(ctx context.Context, dst string) error {
	mb, err := c.reopenTarget(ctx, dst)
	if err != nil {
		return err
	}
	defer mb.Close() // only read
	there := map[fingerprint]uint32{}
	for m, err := range mb.Messages(mailbox.All) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		f, err := fingerprintOf(mb, m.Seq)
		if err != nil {
			return err
		}
		there[f]++
	}
	var missing mailbox.Set
	n, present := uint32(0), uint32(0)
	for m, err := range c.from.Messages(c.chosen) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if c.matcher != nil { // of a stream: who else is chosen is known
			if is, err := matches(c.matcher, c.from, m); err != nil {
				return err
			} else if !is {
				continue
			}
		}
		f, err := fingerprintOf(c.from, m.Seq)
		if err != nil {
			return err
		}
		if there[f] > 0 {
			there[f]--
			present++
			continue
		}
		missing.Add(m.Seq)
		n++
	}
	c.chosen, c.matcher, c.status = missing, nil, c.from.Status() // a stream was read to its end
	c.acc.Present = present
	c.acc.Found, c.acc.Failed = n, n
	return nil
}
