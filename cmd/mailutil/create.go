package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) createCommand() *cobra.Command {
	return c.command("create", "Make a new, empty mailbox; #driver.FORMAT/NAME chooses its format.", 1, 1, c.create)
}

func (c *cli) create(ctx context.Context, args []string) error {
	if err := c.session.Create(ctx, args[0]); err != nil {
		return c.failed(opCreate, args[0], err)
	}
	c.done("create", args[0], "")
	return nil
}
