package all_test

import (
	"bufio"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
)

// TestMain lets the test binary be a peer of its own: with this variable set it
// speaks the protocol of testdata/peer/peer.c over our drivers.
func TestMain(m *testing.M) {
	if os.Getenv("MAILUTIL_TEST_PEER") != "" {
		if err := ourPeer(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "peer:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// peer is our side of the conversation.
type peer struct {
	env      *mailbox.Env
	drivers  mailbox.Drivers
	out      io.Writer
	sessions []mailbox.Mailbox
	cur      int
}

func ourPeer(in io.Reader, out io.Writer) error {
	env, err := mailbox.NewEnv()
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	p := &peer{env: env, out: w, drivers: all.Drivers(env)}
	env.Notify = func(l mailbox.Level, text string) {
		if l >= mailbox.Warn {
			fmt.Fprintln(w, "log 1", text)
		}
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		cmd, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if err != nil || cmd == "quit" {
			return nil
		}
		if err := p.do(cmd, rest); err != nil {
			fmt.Fprintln(w, "log 2", err)
		}
		fmt.Fprintln(w, ".")
		w.Flush()
	}
}

func (p *peer) do(cmd, rest string) error {
	ctx := context.Background()
	switch cmd {
	case "open":
		return p.open(ctx, rest)
	case "use":
		n, err := strconv.Atoi(rest)
		p.cur = n
		return err
	case "append":
		name, rest, _ := strings.Cut(rest, " ")
		part := strings.SplitN(rest, "|", 3)
		text := strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\\`, `\`).Replace(part[2])
		err := p.append(ctx, name, part[0], part[1], text)
		fmt.Fprintln(p.out, map[bool]string{true: "ok", false: "failed"}[err == nil])
		return err
	case "flood":
		var name, tag string
		var n, bad int
		fmt.Sscan(rest, &name, &n, &tag)
		for i := range n {
			text := fmt.Sprintf("From: %s@example.com\r\nSubject: %s-%d\r\n\r\nbody of %s-%d\r\n", tag, tag, i, tag, i)
			if err := p.append(ctx, name, "", "", text); err != nil {
				fmt.Fprintln(p.out, "log 2", err)
				bad++
			}
		}
		fmt.Fprintln(p.out, bad, "failed")
		return nil
	}
	mb := p.sessions[p.cur]
	switch cmd {
	case "dump":
		return p.dump(mb)
	case "flag", "unflag":
		seqs, flags, _ := strings.Cut(rest, " ")
		op := mailbox.Add
		if cmd == "unflag" {
			op = mailbox.Remove
		}
		return mb.Store(parseSet(seqs), op, parseFlags(flags))
	case "expunge":
		var doomed mailbox.Set
		for m, err := range mb.Messages(mailbox.All) {
			if err != nil {
				return err
			}
			if m.Flags.System&mailbox.Deleted != 0 {
				doomed.Add(m.Seq)
			}
		}
		_, err := mb.Expunge(doomed)
		return err
	case "ping":
		_, err := mb.Ping()
		fmt.Fprintln(p.out, "alive", mb.Status().Messages)
		return err
	case "check":
		_, err := mb.Ping()
		return err
	case "close":
		return mb.Close()
	}
	return fmt.Errorf("unknown command %q", cmd)
}

func (p *peer) open(ctx context.Context, rest string) error {
	name, modeWord, _ := strings.Cut(rest, " ")
	mode := mailbox.ReadWrite
	if modeWord == "ro" {
		mode = mailbox.ReadOnly
	}
	n, err := p.env.Resolve(name)
	if err != nil {
		return err
	}
	mb, err := p.drivers.Open(ctx, n, mode)
	if err != nil {
		fmt.Fprintln(p.out, "failed")
		return err
	}
	p.sessions = append(p.sessions, mb)
	p.cur = len(p.sessions) - 1
	how := "readwrite"
	if mb.Status().ReadOnly {
		how = "readonly"
	}
	fmt.Fprintf(p.out, "session %d %d messages %s\n", p.cur, mb.Status().Messages, how)
	return nil
}

func (p *peer) append(ctx context.Context, name, flags, date, text string) error {
	n, err := p.env.Resolve(name)
	if err != nil {
		return err
	}
	d, err := p.drivers.Find(n)
	if err != nil {
		return err
	}
	list := parseFlags(flags)
	del, err := d.(mailbox.Appender).Append(ctx, n, mailbox.AppendOptions{Keywords: list.Keywords})
	if err != nil {
		return err
	}
	defer del.Abort()
	it := mailbox.Item{Text: strings.NewReader(text)}
	it.Size = int64(len(text))
	it.Flags.System = list.System
	it.Flags.Keywords = 1<<len(list.Keywords) - 1
	if date != "" {
		if it.Date, err = mailbox.ParseDate(date, p.env.Now().Location()); err != nil {
			return err
		}
	}
	if _, err := del.Add(it); err != nil {
		return err
	}
	_, err = del.Commit()
	return err
}

func (p *peer) dump(mb mailbox.Mailbox) error {
	st := mb.Status()
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			return err
		}
		c, err := mb.Open(m.Seq)
		if err != nil {
			return err
		}
		h := fnv.New64a()
		size, err := io.Copy(h, c)
		if err != nil {
			return err
		}
		m.Flags.System &^= mailbox.Recent
		var flags string
		for _, f := range m.Flags.Names(st.Keywords) {
			flags += f + " "
		}
		fmt.Fprintf(p.out, "%d|%s|%s|%d|%016x\n", m.UID, flags, m.Date, size, h.Sum64())
	}
	fmt.Fprintf(p.out, "uidvalidity %d uidlast %d\n", st.UIDValidity, st.UIDNext-1)
	return nil
}

func parseFlags(s string) (l mailbox.FlagList) {
	for _, f := range strings.Fields(s) {
		for i, name := range mailbox.SystemNames {
			if f == `\`+name {
				l.System |= 1 << i
			}
		}
		if f[0] != '\\' {
			l.Keywords = append(l.Keywords, f)
		}
	}
	return l
}

func parseSet(s string) (set mailbox.Set) {
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, isRange := strings.Cut(part, ":")
		a, _ := strconv.Atoi(lo)
		b := a
		if isRange {
			b, _ = strconv.Atoi(hi)
		}
		set = set.Union(mailbox.Range(uint32(a), uint32(b)))
	}
	return set
}
