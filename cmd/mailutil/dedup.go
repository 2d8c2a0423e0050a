package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

func (c *cli) dedupCommand() *cobra.Command {
	var o ops.DedupOptions
	var by string
	cmd := c.command("dedup", "Expunge messages that are in the mailboxes more than once; the first stays, with the flags of all.", 1, math.MaxInt, func(ctx context.Context, args []string) error {
		if by != "body" && by != "message-id" {
			return usageError("--by is body or message-id, not " + by)
		}
		o.ByMessageID = by == "message-id"
		return c.dedup(ctx, args, o)
	})
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&by, "by", "body", "`what` makes messages the same: body (with Message-ID and Date) or message-id (alone)")
	f.StringVar(&o.To, "to", "", "move the messages that go to this `mailbox`, which is made where it is not there")
	cmd.RegisterFlagCompletionFunc("by", cobra.FixedCompletions([]string{"body", "message-id"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// A duplicateRecord is a message that goes.
type duplicateRecord struct {
	Mailbox   string `json:"mailbox"`
	Seq       uint32 `json:"seq"`
	UID       uint32 `json:"uid"`
	Outcome   string `json:"outcome"` // duplicate
	Of        string `json:"of"`      // the mailbox of the one that stays
	OfSeq     uint32 `json:"of_seq"`
	OfUID     uint32 `json:"of_uid"`
	MessageID string `json:"message_id,omitempty"`
}

// A dedupSummary counts messages.
type dedupSummary struct {
	Command    string `json:"command"`
	Found      uint32 `json:"found"`
	Duplicates uint32 `json:"duplicates"`
	Moved      uint32 `json:"moved"`
	Expunged   uint32 `json:"expunged"`
	Flagged    uint32 `json:"flagged"` // messages that stay and got flags of others
	DryRun     bool   `json:"dry_run"`
	Exit       int    `json:"exit_status"`
}

func (duplicateRecord) recordType() string { return typeMessage }
func (dedupSummary) recordType() string    { return typeSummary }

// dedup ends in 3 when something was changed and not all could be.
func (c *cli) dedup(ctx context.Context, names []string, o ops.DedupOptions) error {
	o.Duplicate = func(d ops.Duplicate) {
		switch {
		case c.opt.json:
			c.emit(duplicateRecord{d.Mailbox, d.Seq, d.UID, "duplicate", d.Of, d.OfSeq, d.OfUID, d.MessageID})
		case c.opt.verbose || c.session.DryRun:
			c.say(printable(fmt.Sprintf("%s: message %d (UID %d) is message %d of %s once more %s", d.Mailbox, d.Seq, d.UID, d.OfSeq, d.Of, d.MessageID)))
		}
	}
	d, err := c.session.Dedup(ctx, names, o)
	status := exitDone
	if err != nil {
		status = exitFailed
		if d.Flagged+d.Moved+d.Expunged > 0 {
			status = exitPartly
		}
		name := names[0]
		if e := new(mailbox.Error); errors.As(err, &e) && e.Name != "" {
			name = e.Name
		}
		c.fail(opOpen, name, err)
	}
	switch {
	case c.opt.json:
		c.emit(dedupSummary{"dedup", d.Found, d.Duplicates, d.Moved, d.Expunged, d.Flagged, c.session.DryRun, status})
	case c.session.DryRun:
		c.would(fmt.Sprintf("expunge %d of %d messages", d.Duplicates, d.Found))
	case err == nil || d.Expunged > 0:
		c.say(fmt.Sprintf("%d of %d messages expunged", d.Expunged, d.Found))
	}
	if status != exitDone {
		return said(status)
	}
	return nil
}
