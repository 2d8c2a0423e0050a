package main

import (
	"context"

	"github.com/spf13/cobra"

	"mailutil/pkg/ops"
	"mailutil/pkg/search"
)

func (c *cli) splitCommand() *cobra.Command {
	var o transferOptions
	var by string
	cmd := c.command("split", "Copy the messages of SOURCE into mailboxes DEST-2023, DEST-2023-05 or DEST-001.", 2, 2, func(ctx context.Context, args []string) error {
		division, err := divisionOf(by)
		if err != nil {
			return err
		}
		return c.split(ctx, args[0], args[1], division, o)
	})
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&by, "by", "", "a mailbox for each `part`: year, month, or so many octets at most, such as 500M")
	f.BoolVar(&o.Verify, "verify", false, "read each mailbox back and compare each message")
	f.BoolVar(&o.KeepUIDs, "keep-uids", false, "keep UIDs and UIDVALIDITY")
	f.BoolVar(&o.resume, "resume", false, "where a mailbox exists already, add the messages that it lacks")
	cmd.RegisterFlagCompletionFunc("by", cobra.FixedCompletions([]string{"year", "month", "500M"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func divisionOf(word string) (by ops.Division, err error) {
	switch word {
	case "year":
		return by, nil
	case "month":
		return ops.Division{Months: true}, nil
	}
	const parts = "--by is year, month or a size such as 500M"
	n, ok := search.ParseSize(word)
	switch {
	case word == "":
		return by, usageError(parts)
	case !ok || n == 0:
		return by, usageError(parts + ", not " + word)
	}
	return ops.Division{Octets: n}, nil
}

// split ends as a transfer does.
func (c *cli) split(ctx context.Context, src, dst string, by ops.Division, o transferOptions) error {
	parts, messages, err := c.session.Split(ctx, src, dst, by)
	if err != nil {
		return c.failed(opOpen, src, err)
	}
	sum := c.transferAll(ctx, "split", src, dst, ops.Hierarchy{Transfers: parts}, o)
	if sum.Exit == exitDone && !sum.DryRun {
		now, err := c.session.Messages(ctx, src)
		if err != nil {
			return c.failed(opOpen, src, err)
		}
		if sum.Found+sum.Present != messages || now != messages {
			c.warn("mailutil: " + src + " changed meanwhile, and its parts are not what it is now: run again with --resume")
			sum.Exit = exitPartly
		}
	}
	return c.transferred(sum)
}
