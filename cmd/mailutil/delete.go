package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) deleteCommand() *cobra.Command {
	return c.command("delete", "Delete a mailbox, or an empty directory.", 1, 1, c.delete)
}

func (c *cli) delete(ctx context.Context, args []string) error {
	if err := c.session.Delete(ctx, args[0]); err != nil {
		return c.failed(opDelete, args[0], err)
	}
	c.done("delete", args[0], "")
	return nil
}
