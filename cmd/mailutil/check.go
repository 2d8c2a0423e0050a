package main

import (
	"context"
	"math"

	"github.com/spf13/cobra"

	"mailutil/pkg/mailbox"
)

func (c *cli) checkCommand() *cobra.Command {
	var deep bool
	short := "Report how many messages a mailbox has, and how many are new. The default is INBOX."
	cmd := c.command("check", short, 0, math.MaxInt, func(ctx context.Context, args []string) error {
		switch {
		case deep && len(args) > 0:
			return c.checkDeep(ctx, args)
		case deep:
			return c.checkDeep(ctx, []string{"INBOX"})
		case len(args) > 1:
			return usageError(usageOf(c.prog, "check"))
		}
		return c.check(ctx, args)
	})
	cmd.Flags().BoolVar(&deep, "deep", false, "look at every octet of the mailboxes, and say what is not as it should be")
	return cmd
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

// checkDeep ends in 1 when a mailbox is damaged, and in 3 when one could not be
// looked at.
func (c *cli) checkDeep(ctx context.Context, names []string) error {
	damaged, failed := false, false
	for _, name := range names {
		in, err := c.session.Inspect(ctx, name, func(f mailbox.Finding) error {
			c.finding(name, f)
			return ctx.Err()
		})
		if err != nil {
			c.fail(opOpen, name, err)
			failed = true
			continue
		}
		damaged = damaged || !in.Sound()
		if c.opt.json {
			c.emit(inspectionSummary{"check", name, in.Path, in.Driver, in.Size, in.Messages, in.Doubts, in.Damages, in.Sound()})
		} else if !c.opt.quiet {
			c.say(printable(in.String()))
		}
	}
	switch {
	case failed:
		return said(exitPartly)
	case damaged:
		return said(exitFailed)
	}
	return nil
}

// finding prints one thing that a deep check has found.
func (c *cli) finding(name string, f mailbox.Finding) {
	if !c.opt.json {
		c.say(printable(name + ": " + f.String()))
		return
	}
	r := findingRecord{Mailbox: name, Code: f.Code, Severity: f.Severity.String(), Message: f.Seq, Line: f.Line, Text: f.Text}
	if f.Off >= 0 {
		r.Offset = &f.Off
	}
	c.emit(r)
}

// A findingRecord is one thing that a deep check has found.
type findingRecord struct {
	Mailbox  string `json:"mailbox"`
	Code     string `json:"code"`
	Severity string `json:"severity"`          // doubt or damage
	Message  uint32 `json:"number,omitempty"`  // the message that it is about
	Offset   *int64 `json:"offset,omitempty"`  // octet in the file
	Line     int64  `json:"line,omitempty"`    // in the file, from 1
	Text     string `json:"message,omitempty"` // for people
}

// An inspectionSummary sums up a deep check.
type inspectionSummary struct {
	Command  string `json:"command"`
	Mailbox  string `json:"mailbox"`
	Path     string `json:"path"`
	Format   string `json:"format"`
	Size     int64  `json:"size"` // octets that were looked at
	Messages uint32 `json:"messages"`
	Doubts   int    `json:"doubts"`
	Damages  int    `json:"damages"`
	Sound    bool   `json:"sound"`
}

func (findingRecord) recordType() string     { return typeFinding }
func (inspectionSummary) recordType() string { return typeSummary }
