package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// transferOptions are the options of transfer.
type transferOptions struct {
	ops.CopyOptions
	merge   string // "" for none
	resume  bool
	byLabel bool
}

func (c *cli) transferCommand() *cobra.Command {
	var o transferOptions
	var allKeywords, noKeywords bool
	var origin string
	cmd := c.command("transfer", "Copy all mailboxes whose names begin with SOURCE, each to the name that DEST and its own make.", 2, 2, func(ctx context.Context, args []string) error {
		switch {
		case allKeywords:
			o.Keywords = ops.KeepAll
		case noKeywords:
			o.Keywords = ops.Drop
		}
		var err error
		if o.Origin, err = originOf(origin); err != nil {
			return err
		}
		if o.Origin == ops.Thunderbird {
			c.readThunderbird()
		}
		if o.byLabel && o.Origin != ops.Takeout {
			return usageError("--by-label goes with --from-dialect=takeout")
		}
		return c.transfer(ctx, args[0], args[1], o)
	})
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.ReadWrite, "rwcopy", false, "open mailboxes read-write: an mbx INBOX then takes in new mail")
	f.BoolVar(&allKeywords, "kwcopy", false, "create all keywords of a mailbox, not only those that messages bear")
	f.BoolVar(&noKeywords, "ignore", false, "leave keywords out")
	f.StringVarP(&o.merge, "merge", "m", "", "where a mailbox exists already: `how` is prompt, append or suffix=TEXT")
	f.BoolVar(&o.Verify, "verify", false, "read each mailbox back and compare each message")
	f.BoolVar(&o.KeepUIDs, "keep-uids", false, "keep UIDs and UIDVALIDITY of mailboxes that are made")
	f.BoolVar(&o.resume, "resume", false, "where a mailbox exists already, add the messages that it lacks")
	addOrigin(cmd, &origin)
	f.BoolVar(&o.byLabel, "by-label", false, "with --from-dialect=takeout: sort the messages into a mailbox for each label")
	cmd.RegisterFlagCompletionFunc("merge", cobra.FixedCompletions([]string{"prompt", "append", "suffix="}, cobra.ShellCompDirectiveNoSpace|cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// A transferSummary is the account of all mailboxes.
type transferSummary struct {
	Command     string `json:"command"`
	Source      string `json:"source"`
	Target      string `json:"target"`
	Mailboxes   int    `json:"mailboxes"`
	Transferred int    `json:"transferred"`
	Unfinished  int    `json:"unfinished"` // not transferred, or only in part
	LeftOut     int    `json:"left_out"`   // files of the source that are no mailboxes of the dialect
	Found       uint32 `json:"found"`
	Present     uint32 `json:"present"`
	Copied      uint32 `json:"copied"`
	Skipped     uint32 `json:"skipped"`
	Failed      uint32 `json:"failed"`
	Octets      int64  `json:"octets"`
	DryRun      bool   `json:"dry_run"`
	Exit        int    `json:"exit_status"`
}

func (transferSummary) recordType() string { return typeSummary }

// add counts one mailbox.
func (t *transferSummary) add(acc ops.Account, status int) {
	if status == exitDone {
		t.Transferred++
	} else {
		t.Unfinished++
	}
	t.Found += acc.Found
	t.Present += acc.Present
	t.Copied += acc.Copied
	t.Skipped += acc.Skipped
	t.Failed += acc.Failed
	t.Octets += acc.Octets
}

// transfer, as transferAll, ends in 1 when nothing was done, in 3 when only some of it was.
func (c *cli) transfer(ctx context.Context, src, dst string, o transferOptions) error {
	if c.opt.verbose && !c.opt.json {
		c.say(listing)
	}
	h, err := c.session.Hierarchy(ctx, src, dst, ops.HierarchyOptions{Origin: o.Origin, ByLabel: o.byLabel})
	var bad *mailbox.Error
	if errors.As(err, &bad) && bad.Op == "append" {
		return c.failed(opOpen, dst, err)
	}
	if err != nil {
		return c.failed(opOpen, src, err)
	}
	if h.Flat {
		c.remark(noDelimiter)
	}
	for _, err := range h.Unread {
		name := src
		if errors.As(err, &bad) {
			name = bad.Name
		}
		c.fail(opOpen, name, err)
	}
	if len(h.Transfers)+len(h.Unread) == 0 && !c.opt.json && !c.opt.quiet {
		c.warn("mailutil: there is no mailbox whose name begins with " + strconv.Quote(src))
	}
	c.sayFolders(h)
	return c.transferred(c.transferAll(ctx, "transfer", src, dst, h, o))
}

// transferAll makes the transfers of h, as the command says.
func (c *cli) transferAll(ctx context.Context, command, src, dst string, h ops.Hierarchy, o transferOptions) transferSummary {
	sum := transferSummary{Command: command, Source: src, Target: dst, Mailboxes: len(h.Transfers), LeftOut: len(h.LeftOut), DryRun: c.session.DryRun}
	made := map[string]bool{}
	for _, t := range h.Transfers {
		one := c.newAttempt(command, t, o)
		if made[t.Target] { // of another source, with the same label
			one.add()
		}
		made[t.Target] = o.byLabel
		acc, status, stop := c.transferOne(ctx, one, o)
		sum.add(acc, status)
		if stop || ctx.Err() != nil {
			break
		}
	}
	sum.Exit = exitDone
	switch missed := sum.Mailboxes > sum.Transferred || len(h.Unread) > 0; {
	case missed && sum.Transferred == 0 && sum.Copied == 0:
		sum.Exit = exitFailed
	case missed:
		sum.Exit = exitPartly
	}
	return sum
}

// sayFolders says which files were taken for no folders, and which folders get
// another name.
func (c *cli) sayFolders(h ops.Hierarchy) {
	if c.opt.json || c.opt.quiet {
		return
	}
	if n := len(h.LeftOut); n > 0 {
		what := fmt.Sprintf("%d files are no mailboxes, and are", n)
		if n == 1 {
			what = "a file is no mailbox, and is"
		}
		c.warn(fmt.Sprintf("mailutil: %s left out: %s", what, strings.Join(h.LeftOut, " ")))
	}
	for _, name := range h.Apart {
		c.warn("mailutil: " + path.Dir(name) + " has others below it, and gets the name " + name)
	}
}

// transferred says what became of all mailboxes.
func (c *cli) transferred(sum transferSummary) error {
	if c.opt.json {
		c.emit(sum)
	} else if left := sum.Mailboxes - sum.Transferred - sum.Unfinished; (c.opt.verbose || sum.Exit == exitPartly) && !c.opt.quiet && sum.Mailboxes > 0 {
		c.warn(fmt.Sprintf("mailutil: %s: %d transferred, %d unfinished, %d not begun", mailboxes(sum.Mailboxes), sum.Transferred, sum.Unfinished, left))
		acc := ops.Account{Found: sum.Found, Copied: sum.Copied, Skipped: sum.Skipped, Failed: sum.Failed}
		c.warn("mailutil: messages in all: " + acc.Equation())
	}
	if sum.Exit != exitDone {
		return said(sum.Exit)
	}
	return nil
}

// transferOne copies one mailbox. Stop says that the original would end here.
func (c *cli) transferOne(ctx context.Context, one *attempt, o transferOptions) (acc ops.Account, status int, stop bool) {
	target := one.t.Target
	if c.opt.verbose && !c.opt.json {
		c.say("Copying " + one.t.Source + "\n  => " + target)
	}
	one.run(ctx, c, target)
	if o.resume && one.refused() && errors.Is(one.err, mailbox.ErrExist) {
		one.add()
		one.run(ctx, c, target)
	} else if one.refused() {
		one.complain(c)
		one.merge(ctx, c, o.merge)
	}
	return one.finish(c)
}

// An attempt is one mailbox on its way, perhaps to more names than one.
type attempt struct {
	command string
	t       ops.Transfer
	o       ops.CopyOptions
	target  string // the last that was tried
	acc     ops.Account
	err     error
	started bool
	said    bool // the error was reported
}

func (c *cli) newAttempt(command string, t ops.Transfer, o transferOptions) *attempt {
	a := &attempt{command: command, t: t, o: o.CopyOptions}
	a.o.Create, a.o.Folder, a.o.Where = true, t.Folder, t.Where
	return a
}

// add makes it the next try to add what is missing in a mailbox that exists.
func (a *attempt) add() { a.o.Create, a.o.Missing, a.o.KeepUIDs = false, true, false }

// run copies to a target.
func (a *attempt) run(ctx context.Context, c *cli, target string) {
	a.target, a.started, a.said = target, false, false
	o := a.o
	o.Started = func(source mailbox.Status) {
		a.started = true
		c.sayStart(a.t.Source, source, target)
	}
	m := c.newMeter(a.t.Source)
	o.Progress = m.show
	a.acc, a.err = c.session.Copy(ctx, a.t.Source, target, o)
	m.end()
}

// opened reports whether the source could be opened.
func (a *attempt) opened() bool { return a.acc.Source != "" }

// refused reports whether the target was not to be had.
func (a *attempt) refused() bool { return a.err != nil && a.opened() && !a.started }

func (a *attempt) complain(c *cli) {
	op := opAppend
	if a.o.Create {
		op = opCreate
	}
	c.fail(op, a.target, a.err)
	a.said = true
}

// merge does what -merge says about a name that cannot be had. What comes to
// nothing ends in a question, as in the original.
func (a *attempt) merge(ctx context.Context, c *cli, how string) {
	suffix, isSuffix := strings.CutPrefix(how, "suffix=")
	switch {
	case how == "append":
		a.o.Create, a.o.KeepUIDs = false, false
		a.run(ctx, c, a.target)
		if !errors.Is(a.err, mailbox.ErrNotExist) {
			return
		}
		a.o.Create = true
	case isSuffix:
		name := a.t.Target + suffix
		c.remark("retry to create " + name)
		a.run(ctx, c, name)
	case how == "":
		return
	}
	for first := true; how == "prompt" && first || a.refused() && ctx.Err() == nil; first = false {
		if !a.said {
			a.complain(c)
		}
		name, ok := "", false
		if !c.session.DryRun {
			name, ok = c.ask(ctx, alternative)
		}
		if !ok {
			c.warn("mailutil: no other name was given for " + a.t.Target)
			return
		}
		a.run(ctx, c, name)
	}
}

// finish reports the outcome and returns it.
func (a *attempt) finish(c *cli) (ops.Account, int, bool) {
	status := copyStatus(a.acc, a.err)
	if a.t.Where != nil { // other transfers are for the others
		a.acc.NotSelected = 0
	}
	switch {
	case !a.opened():
		c.remark("can't open source mailbox " + a.t.Source)
		c.fail(opOpen, a.t.Source, a.err)
		return a.acc, exitFailed, false
	case a.refused():
		if !a.said {
			a.complain(c)
		}
	case c.session.DryRun && a.err == nil:
		c.would(fmt.Sprintf("copy %s, %d octets, from %s to %s", messages(a.acc.Copied), a.acc.Octets, a.t.Source, a.target))
	default:
		c.sayCopied(a.acc, a.err)
		c.failCopy(a.t.Source, a.target, a.acc, a.err)
		c.account(a.acc, a.err)
	}
	if c.opt.json {
		sum := newCopySummary(a.command, a.acc, status)
		sum.DryRun = c.session.DryRun
		c.emit(sum)
	}
	return a.acc, status, a.err != nil
}

// remark says what the original says on standard output, though it is no
// result.
func (c *cli) remark(text string) {
	if c.opt.json {
		c.warn("mailutil: " + text)
		return
	}
	c.say(text)
}

// ask puts a question until there is an answer that is not empty; ok is false
// where there will be none.
func (c *cli) ask(ctx context.Context, question string) (answer string, ok bool) {
	out := c.out
	if c.opt.json {
		out = c.err
	}
	for {
		_, err := fmt.Fprint(out, question)
		c.wrote(err)
		line, err := c.readLine(ctx)
		if answer = strings.TrimRight(line, "\r\n"); answer != "" {
			return answer, true
		}
		if err != nil {
			fmt.Fprintln(out)
			return "", false
		}
	}
}

// readLine reads a line of standard input, as long as nobody interrupts us.
func (c *cli) readLine(ctx context.Context) (string, error) {
	type read struct {
		line string
		err  error
	}
	if c.lines == nil {
		c.lines = bufio.NewReader(c.in)
	}
	got := make(chan read, 1)
	go func() {
		line, err := c.lines.ReadString('\n')
		got <- read{line, err}
	}()
	select {
	case r := <-got:
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
