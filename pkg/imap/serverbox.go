package imap

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"mailutil/pkg/internal/session"
	"mailutil/pkg/mailbox"
)

// A served is the mailbox that a client has selected, and what it knows of it.
type served struct {
	mb    mailbox.Mailbox
	name  string
	known []seen // as the client was told
	words int    // how many keywords it was told
}

// A seen is a message as a client knows it.
type seen struct {
	uid   uint32
	flags mailbox.Flags
}

// closeBox closes the selected mailbox, if there is one.
func (s *Server) closeBox() error {
	if s.box == nil {
		return nil
	}
	mb := s.box.mb
	s.box = nil
	s.holds.Store(false)
	return mb.Close()
}

func (s *Server) selectBox(c *command) (string, error) {
	name, err := c.text()
	if err == nil {
		err = c.end()
	}
	if err != nil {
		return "", err
	}
	if err := s.closeBox(); err != nil {
		return "", err
	}
	mode := mailbox.ReadWrite
	if c.name == "EXAMINE" {
		mode = mailbox.ReadOnly
	}
	mb, err := s.Tree.Open(s.late, encodeName(name), mode)
	if err != nil {
		return "", err
	}
	s.box = &served{mb: mb, name: name}
	s.holds.Store(session.Holds(mb.Status()))
	if s.box.known, err = snapshot(mb); err != nil {
		s.closeBox()
		return "", err
	}
	return s.describe(c)
}

// snapshot is what a client that is told everything knows.
func snapshot(mb mailbox.Mailbox) ([]seen, error) {
	out := make([]seen, 0, mb.Status().Messages)
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			return nil, err
		}
		out = append(out, seen{m.UID, m.Flags})
	}
	return out, nil
}

// describe says what the selected mailbox is like, RFC 3501, 6.3.1.
func (s *Server) describe(c *command) (string, error) {
	st := s.box.mb.Status()
	s.untagged("%d EXISTS", len(s.box.known))
	s.untagged("%d RECENT", st.Recent)
	s.tellFlags(st)
	for i, k := range s.box.known {
		if k.flags.System&mailbox.Seen == 0 {
			s.untagged("OK [UNSEEN %d] first unseen message", i+1)
			break
		}
	}
	s.untagged("OK [UIDVALIDITY %d] UID validity status", max(st.UIDValidity, 1))
	s.untagged("OK [UIDNEXT %d] Predicted next UID", st.UIDNext)
	if st.ReadOnly {
		return "[READ-ONLY] " + s.done(c), nil
	}
	return "[READ-WRITE] " + s.done(c), nil
}

// tellFlags says which flags there are, and which can be stored.
func (s *Server) tellFlags(st mailbox.Status) {
	words := []string{`\Answered`, `\Flagged`, `\Deleted`, `\Draft`, `\Seen`}
	for _, k := range st.Keywords {
		if mailbox.ValidKeyword(k) {
			words = append(words, k)
		}
	}
	all := strings.Join(words, " ")
	s.untagged("FLAGS (%s)", all)
	permanent := ""
	if !st.ReadOnly {
		permanent = all + ` \*`
	}
	s.untagged("OK [PERMANENTFLAGS (%s)] Permanent flags", permanent)
	s.box.words = len(st.Keywords)
}

// news looks for what other sessions did, and tells.
func (s *Server) news() error {
	if s.box == nil {
		return nil
	}
	if _, err := s.box.mb.Ping(); err != nil {
		return err
	}
	return s.tell()
}

// tell brings the client up to date with the mailbox as it is now.
func (s *Server) tell() error {
	b := s.box
	now, err := snapshot(b.mb)
	if err != nil {
		return err
	}
	kept := b.known[:0]
	i := 0
	for _, k := range b.known { // UIDs ascend, here and there
		for i < len(now) && now[i].uid < k.uid {
			i++
		}
		if i == len(now) || now[i].uid != k.uid {
			s.untagged("%d EXPUNGE", len(kept)+1)
			continue
		}
		kept = append(kept, k)
	}
	st := b.mb.Status()
	if len(st.Keywords) > b.words {
		s.tellFlags(st)
	}
	if len(now) != len(kept) {
		s.untagged("%d EXISTS", len(now))
		s.untagged("%d RECENT", st.Recent)
	}
	for i := range kept {
		if kept[i].uid == now[i].uid && kept[i].flags != now[i].flags {
			s.untagged("%d FETCH (UID %d FLAGS (%s))", i+1, now[i].uid, flagWords(now[i].flags, st.Keywords))
		}
	}
	b.known = now
	return nil
}

// flagWords are flags as they are sent. A keyword that a format keeps and IMAP
// cannot spell is left out.
func flagWords(f mailbox.Flags, keywords []string) string {
	names := f.Names(keywords)
	out := names[:0]
	for _, n := range names {
		if n[0] == '\\' || mailbox.ValidKeyword(n) {
			out = append(out, n)
		}
	}
	return strings.Join(out, " ")
}

// close ends the use of the selected mailbox; CLOSE expunges first.
func (s *Server) close(c *command) (string, error) {
	if err := c.end(); err != nil {
		return "", err
	}
	var err error
	if c.name == "CLOSE" && !s.box.mb.Status().ReadOnly {
		_, err = s.box.mb.Expunge(s.deleted(mailbox.All))
	}
	return s.done(c), errors.Join(err, s.closeBox())
}

// deleted are the messages in set that bear Deleted.
func (s *Server) deleted(set mailbox.Set) (out mailbox.Set) {
	for m, err := range s.box.mb.Messages(set) {
		if err == nil && m.Flags.System&mailbox.Deleted != 0 {
			out.Add(m.Seq)
		}
	}
	return out
}

func (s *Server) expunge(c *command) (string, error) {
	set := mailbox.All
	if c.uid {
		var err error
		if set, err = s.set(c); err != nil {
			return "", err
		}
	}
	if err := c.end(); err != nil {
		return "", err
	}
	if _, err := s.box.mb.Expunge(s.deleted(set)); err != nil {
		return "", err
	}
	return s.done(c), s.tell()
}

// set reads a set of messages: of sequence numbers, or of UIDs for a UID
// command.
func (s *Server) set(c *command) (out mailbox.Set, err error) {
	text, err := c.text()
	if err != nil {
		return out, err
	}
	known := s.box.known
	last := uint32(len(known))
	lastUID := uint32(0)
	if last > 0 {
		lastUID = known[last-1].uid
	}
	top := last
	if c.uid {
		top = lastUID
	}
	if last == 0 {
		return out, nil
	}
	for _, piece := range strings.Split(text, ",") {
		from, to, isRange := strings.Cut(piece, ":")
		lo, ok := setNumber(from, top)
		hi := lo
		if ok && isRange {
			hi, ok = setNumber(to, top)
		}
		if !ok {
			return out, badError("Bogus sequence in " + c.name + ": " + oneLine(piece))
		}
		lo, hi = min(lo, hi), max(lo, hi)
		if c.uid {
			lo, hi = uint32(s.below(lo)+1), uint32(s.upTo(hi))
		} else if hi > last {
			return out, badError("Bogus sequence in " + c.name + ": there are only " + fmt.Sprint(last) + " messages")
		}
		out = out.Union(mailbox.Range(max(lo, 1), hi))
	}
	return out, nil
}

func setNumber(s string, top uint32) (uint32, bool) {
	if s == "*" {
		return top, true
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && n > 0
}

// below is how many messages have a UID below uid.
func (s *Server) below(uid uint32) int {
	lo, hi := 0, len(s.box.known)
	for lo < hi {
		if mid := (lo + hi) / 2; s.box.known[mid].uid < uid {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// upTo is how many have one up to uid.
func (s *Server) upTo(uid uint32) int {
	if uid == 1<<32-1 {
		return len(s.box.known)
	}
	return s.below(uid + 1)
}

func (s *Server) store(c *command) (string, error) {
	set, err := s.set(c)
	if err != nil {
		return "", err
	}
	item, err := c.text()
	if err != nil {
		return "", err
	}
	item, silent := strings.CutSuffix(strings.ToUpper(item), ".SILENT")
	op, ok := map[string]mailbox.FlagOp{"FLAGS": mailbox.Replace, "+FLAGS": mailbox.Add, "-FLAGS": mailbox.Remove}[item]
	if !ok {
		return "", badError("Missing or invalid argument to STORE")
	}
	list, err := c.flagList()
	if err != nil {
		return "", err
	}
	if err := s.box.mb.Store(set, op, list); err != nil {
		return "", err
	}
	return s.done(c), s.stored(c, set, silent)
}

// stored tells the flags after a STORE, and with silent only remembers them.
func (s *Server) stored(c *command, set mailbox.Set, silent bool) error {
	st := s.box.mb.Status()
	if len(st.Keywords) > s.box.words {
		s.tellFlags(st)
	}
	for m, err := range s.box.mb.Messages(set) {
		if err != nil {
			return err
		}
		s.box.known[m.Seq-1].flags = m.Flags
		switch words := flagWords(m.Flags, st.Keywords); {
		case silent:
		case c.uid:
			s.untagged("%d FETCH (UID %d FLAGS (%s))", m.Seq, m.UID, words)
		default:
			s.untagged("%d FETCH (FLAGS (%s))", m.Seq, words)
		}
	}
	return nil
}

// flagList reads flags, in parentheses or not.
func (c *command) flagList() (f mailbox.FlagList, err error) {
	c.args.space()
	var words []string
	if len(c.args.b) > 0 && c.args.b[0] == '(' {
		words, err = c.args.words()
	} else {
		for len(c.args.b) > 0 {
			words = append(words, string(c.args.atom()))
			before := len(c.args.b)
			c.args.space()
			if before == len(c.args.b) && before > 0 {
				err = errSyntax
				break
			}
		}
	}
	if err != nil {
		return f, badError("Missing or invalid flags in " + c.name)
	}
	for _, w := range words {
		if err := addFlag(&f, w); err != nil {
			return f, err
		}
	}
	return f, nil
}

// addFlag adds a flag by its name.
func addFlag(f *mailbox.FlagList, w string) error {
	if !strings.HasPrefix(w, `\`) {
		if !mailbox.ValidKeyword(w) {
			return badError("Not a keyword: " + oneLine(w))
		}
		f.Keywords = append(f.Keywords, w)
		return nil
	}
	for i, name := range mailbox.SystemNames {
		if strings.EqualFold(w[1:], name) && 1<<i != mailbox.Recent {
			f.System |= 1 << i
			return nil
		}
	}
	return badError("Unknown flag: " + oneLine(w))
}

// idle tells what is new as it comes, RFC 2177.
func (s *Server) idle(c *command) (string, error) {
	if err := c.end(); err != nil {
		return "", err
	}
	s.line("+ idling")
	if err := s.flush(); err != nil {
		return "", fatalError{err}
	}
	type end struct {
		line string
		err  error
	}
	ended := make(chan end, 1)
	go func() { // it ends with the line, or with the connection
		line, err := s.r.ReadSlice('\n')
		ended <- end{strings.TrimRight(string(line), "\r\n"), err}
	}()
	tick := time.NewTicker(s.Poll)
	defer tick.Stop()
	for {
		select {
		case e := <-ended:
			s.Trace("> ", []byte(e.line))
			switch {
			case e.err != nil && !errors.Is(e.err, io.EOF):
				return "", fatalError{e.err}
			case !strings.EqualFold(e.line, "DONE"):
				return "", badError("IDLE ends with DONE")
			}
			return s.done(c), nil
		case <-tick.C:
			if err := s.whileIdle(); err != nil {
				s.conn.SetReadDeadline(time.Unix(1, 0))
				<-ended
				return "", fatalError{err}
			}
		}
	}
}

// whileIdle tells what is new.
func (s *Server) whileIdle() error {
	if err := s.news(); err != nil {
		s.untagged("BYE %s", oneLine(err.Error()))
		return errHopeless
	}
	if s.alert(); s.bye {
		return errHopeless
	}
	return s.flush()
}
