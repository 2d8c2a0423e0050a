package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
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
	cmd := c.command(name, shorts[name], 2, 2, func(ctx context.Context, args []string) error {
		switch {
		case allKeywords:
			o.Keywords = ops.KeepAll
		case noKeywords:
			o.Keywords = ops.Drop
		}
		return c.copy(ctx, name, args[0], args[1], o)
	})
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.ReadWrite, "rwcopy", false, "open SOURCE read-write: an mbx INBOX then takes in new mail")
	f.BoolVar(&allKeywords, "kwcopy", false, "create all keywords of SOURCE, not only those that messages bear")
	f.BoolVar(&noKeywords, "ignore", false, "leave keywords out")
	return cmd
}

func (c *cli) copy(ctx context.Context, command, src, dst string, o ops.CopyOptions) error {
	started := false
	o.Started = func(source mailbox.Status) {
		started = true
		if source.Driver == "dummy" { // nothing is there, and so it has no path in the original
			source.Path = src
		}
		c.sayCopying(source.Path, source.Messages, dst)
	}
	acc, err := c.session.Copy(ctx, src, dst, o)
	opened := acc.Source != ""
	switch {
	case !opened:
		return c.failed(opOpen, src, err)
	case !started:
		c.targetFailed(acc, dst, o, err)
	default:
		c.sayCopied(acc, err)
		c.failCopy(src, dst, acc, err)
		c.account(acc, err)
	}
	status := copyStatus(acc, err)
	if c.opt.json && opened {
		c.emit(newCopySummary(command, acc, status))
	}
	if status != exitDone {
		return said(status)
	}
	return nil
}

func (c *cli) sayCopying(source string, messages uint32, dst string) {
	if c.opt.verbose && !c.opt.json {
		c.say(copying(source, messages, dst))
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
		c.sayCopying(acc.Source, acc.Found, dst)
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
