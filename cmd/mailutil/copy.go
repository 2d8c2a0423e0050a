package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/driver/stream"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
	"mailutil/pkg/search"
)

// copyCommand returns copy, move, append or appenddelete.
func (c *cli) copyCommand(name string) *cobra.Command {
	shorts := map[string]string{
		"copy":         "Create DESTINATION and copy all messages of SOURCE into it.",
		"move":         "Create DESTINATION and move all messages of SOURCE into it.",
		"append":       "Copy all messages of SOURCE into the existing mailbox DESTINATION.",
		"appenddelete": "Move all messages of SOURCE into the existing mailbox DESTINATION.",
	}
	o := ops.CopyOptions{
		Create: name == "copy" || name == "move",
		Move:   name == "move" || name == "appenddelete",
	}
	var allKeywords, noKeywords bool
	var where, dateFrom, reportTo, compress, origin string
	cmd := c.command(name, shorts[name], 2, 2, func(ctx context.Context, args []string) error {
		switch {
		case allKeywords:
			o.Keywords = ops.KeepAll
		case noKeywords:
			o.Keywords = ops.Drop
		}
		var err error
		if o.Where, err = c.criteria(where); err != nil {
			return err
		}
		if o.DateFrom, err = dateSource(dateFrom); err != nil {
			return err
		}
		if o.Origin, err = originOf(origin); err != nil {
			return err
		}
		if o.Origin == ops.Thunderbird && o.Move {
			c.openThunderbird()
		} else if o.Origin == ops.Thunderbird {
			c.readThunderbird()
		}
		if err := c.writeStream(args[1], compress, &o); err != nil {
			return err
		}
		return c.copyAndReport(ctx, name, args[0], args[1], reportTo, o)
	})
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.ReadWrite, "rwcopy", false, "open SOURCE read-write: an mbx INBOX then takes in new mail")
	f.BoolVar(&allKeywords, "kwcopy", false, "create all keywords of SOURCE, not only those that messages bear")
	f.BoolVar(&noKeywords, "ignore", false, "leave keywords out")
	f.StringVar(&where, "where", "", "only the messages that meet these `criteria`")
	f.BoolVar(&o.Verify, "verify", false, "read DESTINATION back and compare each message")
	f.StringVar(&reportTo, "report", "", "list the messages that were not copied as they were in this new `file`, as JSON")
	f.StringVar(&dateFrom, "date-from", "internal", "`where` internal dates come from: internal, header or received")
	addOrigin(cmd, &origin)
	f.StringVar(&compress, "compress", "", "write a new archive, or standard output, compressed: gz or zst")
	if o.Create {
		f.BoolVar(&o.KeepUIDs, "keep-uids", false, "keep UIDs and UIDVALIDITY")
	}
	cmd.RegisterFlagCompletionFunc("where", completeCriteria)
	cmd.RegisterFlagCompletionFunc("compress", cobra.FixedCompletions([]string{"gz", "zst"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("date-from", cobra.FixedCompletions([]string{"internal", "header", "received"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// writeStream prepares for messages that go to standard output, from which all
// else is kept away then, and for a new archive.
func (c *cli) writeStream(dst, compress string, o *ops.CopyOptions) error {
	switch compress {
	case "":
	case "gz":
		c.stream.Compress = stream.Gzip
	case "zst":
		c.stream.Compress = stream.Zstd
	default:
		return usageError("--compress is gz or zst, not " + compress)
	}
	format := strings.HasPrefix(strings.ToLower(dst), "#driver.")
	switch {
	case compress != "" && format:
		return usageError("an archive is mbox: --compress does not go with " + dst)
	case dst == "-":
		c.out = c.err
	case compress != "" && !o.Create:
		return usageError("nothing can be added to an archive: --compress goes with copy and move, or with -")
	case compress != "" || c.opt.dialect != "" && o.Create:
		o.Format = c.stream.Name()
	}
	return nil
}

// criteria reads the criteria of --where; none are nil.
func (c *cli) criteria(words string) (*search.Criteria, error) {
	if words == "" {
		return nil, nil
	}
	criteria, err := search.Parse(words, c.session.Env.Now())
	if err != nil {
		return nil, usageError(err.Error())
	}
	return criteria, nil
}

func dateSource(word string) (ops.DateSource, error) {
	switch word {
	case "internal":
		return ops.DateInternal, nil
	case "header":
		return ops.DateHeader, nil
	case "received":
		return ops.DateReceived, nil
	}
	return 0, usageError("--date-from is internal, header or received, not " + word)
}

// addOrigin gives a command the option --from-dialect.
func addOrigin(cmd *cobra.Command, word *string) {
	cmd.Flags().StringVar(word, "from-dialect", "", "take flags and keywords from the header fields of this `program`: takeout (Gmail) or thunderbird")
	cmd.RegisterFlagCompletionFunc("from-dialect", cobra.FixedCompletions([]string{"takeout", "thunderbird"}, cobra.ShellCompDirectiveNoFileComp))
}

// readThunderbird has mbox files that are copied read as what Thunderbird may have
// made of them.
func (c *cli) readThunderbird() {
	c.stream.Thunderbird = true
	c.session.Sources = append(mailbox.Drivers{c.stream}, c.session.Drivers...)
}

// openThunderbird is the same for files that are held, or written to.
func (c *cli) openThunderbird() {
	c.session.Sources = append(mailbox.Drivers{all.Thunderbird(c.session.Env)}, c.session.Drivers...)
}

func originOf(word string) (ops.Origin, error) {
	switch word {
	case "":
		return ops.NoOrigin, nil
	case "takeout":
		return ops.Takeout, nil
	case "thunderbird":
		return ops.Thunderbird, nil
	}
	return 0, usageError("--from-dialect is takeout or thunderbird, not " + word)
}

// copyAndReport copies and, where file is not "", writes the report.
func (c *cli) copyAndReport(ctx context.Context, command, src, dst, file string, o ops.CopyOptions) error {
	if file == "" || c.session.DryRun {
		return c.copy(ctx, command, src, dst, o)
	}
	r, err := newReportFile(file)
	if err != nil {
		return err
	}
	o.Except = func(e ops.Exception) { r.except(src, e) }
	err = c.copy(ctx, command, src, dst, o)
	if lost := r.close(); lost != nil {
		c.complainOf("mailutil: the report is not complete: "+lost.Error(), "", lost)
		if err == nil {
			err = said(exitPartly)
		}
	}
	return err
}

func (c *cli) copy(ctx context.Context, command, src, dst string, o ops.CopyOptions) error {
	started := false
	o.Started = func(source mailbox.Status) {
		started = true
		c.sayStart(src, source, dst)
	}
	m := c.newMeter(src)
	o.Progress = m.show
	acc, err := c.session.Copy(ctx, src, dst, o)
	m.end()
	opened := acc.Source != ""
	switch {
	case dst == "-" && errors.Is(err, syscall.EPIPE): // the reader has enough
		return said(exitFailed)
	case !opened:
		return c.failed(opOpen, src, err)
	case !started:
		c.targetFailed(acc, dst, o, err)
	case c.session.DryRun && err == nil:
		c.would(fmt.Sprintf("%s %s, %d octets, from %s to %s", command, messages(acc.Copied), acc.Octets, src, dst))
	default:
		c.sayCopied(acc, err)
		c.failCopy(src, dst, acc, err)
		c.account(acc, err)
	}
	status := copyStatus(acc, err)
	if c.opt.json && opened {
		sum := newCopySummary(command, acc, status)
		sum.DryRun = c.session.DryRun
		c.emit(sum)
	}
	if status != exitDone {
		return said(status)
	}
	return nil
}

// sayStart says that the copy of a mailbox begins.
func (c *cli) sayStart(src string, source mailbox.Status, dst string) {
	if source.Driver == "dummy" { // nothing is there, and so it has no path in the original
		source.Path = src
	}
	if source.Streaming {
		c.sayReading(source.Path, dst)
		return
	}
	c.sayCopying(source.Path, source.Messages, dst)
}

func (c *cli) sayCopying(source string, messages uint32, dst string) {
	if c.opt.verbose && !c.opt.json {
		c.say(copying(source, messages, dst))
	}
}

// sayReading is sayCopying for a stream: nobody knows how much will come.
func (c *cli) sayReading(source, dst string) {
	if c.opt.verbose && !c.opt.json {
		c.say(source + " => " + dst)
	}
}

// sayCopied ends what sayCopying began; an empty mailbox has no end.
func (c *cli) sayCopied(acc ops.Account, err error) {
	switch {
	case !c.opt.verbose || c.opt.json || acc.Found == 0 && err == nil:
	case err != nil && acc.Copied == 0:
		c.say(copyFailed)
	default:
		c.say(copied(acc.Copied))
	}
}

// targetFailed reports a target that takes no mail. The original tries to
// append nevertheless, and says so, when it should not create.
func (c *cli) targetFailed(acc ops.Account, dst string, o ops.CopyOptions, err error) {
	op := opCreate
	if !o.Create {
		op = opAppend
		if acc.Source == "-" {
			c.sayReading(acc.Source, dst)
		} else {
			c.sayCopying(acc.Source, acc.Found, dst)
		}
		c.sayCopied(acc, err)
		if errors.Is(err, mailbox.ErrNotExist) {
			c.notify(mailbox.Info, mustCreate)
		}
	}
	c.fail(op, dst, err)
}

// failCopy reports what went wrong under way. That the source of a move cannot
// be written to has been said by a warning.
func (c *cli) failCopy(src, dst string, acc ops.Account, err error) {
	if err == nil {
		return
	}
	unsaid := err
	if acc.Copied > 0 {
		unsaid = without(err, mailbox.ErrReadOnly)
	}
	c.fail(opAppend, dst, unsaid)
	if acc.Copied > 0 && acc.Deleted == 0 { // a move
		c.warn("mailutil: the messages are in " + dst + " now, and still in " + src)
	}
}
