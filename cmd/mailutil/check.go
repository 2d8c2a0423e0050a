package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) checkCommand() *cobra.Command {
	return c.command("check", "Report how many messages a mailbox has, and how many are new. The default is INBOX.", 0, 1, c.check)
}

func (c *cli) check(ctx context.Context, args []string) error {
	name := "INBOX"
	if len(args) > 0 {
		name = args[0]
	}
	st, err := c.session.Check(ctx, name)
	if err != nil {
		return c.failed(opStatus, name, err)
	}
	if c.opt.json {
		c.emit(statusSummary{"check", name, st.Path, st.Driver, st.Messages, st.Recent, st.Unseen})
		return nil
	}
	c.say(checked(st, name))
	return nil
}
