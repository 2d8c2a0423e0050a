package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/search"
)

func (c *cli) pruneCommand() *cobra.Command {
	return c.command("prune", "Expunge the messages that meet all criteria, and those that are marked Deleted.", 2, 2, c.prune)
}

// prune ends in 0 when it did what was asked for, where the original always
// ends in 1, and refuses empty criteria, by which the original expunges all.
func (c *cli) prune(ctx context.Context, args []string) error {
	name, words := args[0], args[1]
	criteria, err := search.Parse(words, c.session.Env.Now())
	if err != nil {
		c.warn(err.Error())
		return usageError(usageOf(c.prog, "prune"))
	}
	if criteria.Empty() {
		return usageError(usageOf(c.prog, "prune"))
	}
	p, err := c.session.Prune(ctx, name, criteria)
	if err != nil && !errors.Is(err, mailbox.ErrReadOnly) {
		return c.failed(opOpen, name, err)
	}
	if c.opt.json {
		c.emit(pruneSummary{"prune", name, p.Found, p.Matched, p.Gone, c.session.DryRun})
	} else if c.session.DryRun {
		c.would(fmt.Sprintf("expunge %d of %d messages of %s", p.Gone, p.Found, name))
	} else {
		c.say(purged(p))
	}
	if err != nil { // that the mailbox is read-only has been said by a warning
		return c.failed(opOpen, name, without(err, mailbox.ErrReadOnly))
	}
	return nil
}
