package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"mailutil/pkg/mailbox"
)

func (c *cli) renameCommand() *cobra.Command {
	return c.command("rename", "Give a mailbox another name, which nothing may have yet.", 2, 2, c.rename)
}

func (c *cli) rename(ctx context.Context, args []string) error {
	from, to := args[0], args[1]
	err := c.session.Rename(ctx, from, to)
	if errors.Is(err, mailbox.ErrNotExist) {
		return c.failed(opRename, from, err)
	}
	if err != nil {
		return c.failed(opRename, from+" to "+to, err)
	}
	c.done("rename", from, to)
	return nil
}
