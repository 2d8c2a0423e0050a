package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"

	"github.com/spf13/cobra"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

func (c *cli) repairCommand() *cobra.Command {
	var o ops.RepairOptions
	short := "Make damaged mailboxes sound. The original of one that was damaged is kept; sound ones are left as they are."
	cmd := c.command("repair", short, 1, math.MaxInt, func(ctx context.Context, args []string) error {
		if o.SplitFrom && o.QuoteFrom {
			return usageError("--split-from and --quote-from are mutually exclusive")
		}
		return c.repair(ctx, args, o)
	})
	f := cmd.Flags()
	f.StringVar(&o.Format, "format", "", "the mailboxes were in this `format`, whatever they look like now")
	f.StringVar(&o.KeepIn, "keep-original", "", "keep the original in this `directory`, not beside the mailbox")
	f.BoolVar(&o.Undelete, "undelete-expunged", false, "show messages again that were removed but are still there")
	f.BoolVar(&o.SplitFrom, "split-from", false, "begin a message at each doubtful From_ line")
	f.BoolVar(&o.QuoteFrom, "quote-from", false, "put > before each doubtful From_ line: it is text")
	return cmd
}

// repair ends in 1 when a mailbox could not be made sound, and in 3 when all
// are sound but something was lost or guessed.
func (c *cli) repair(ctx context.Context, names []string, o ops.RepairOptions) error {
	if o.KeepIn != "" {
		dir, err := filepath.Abs(o.KeepIn)
		if err != nil {
			return err
		}
		o.KeepIn = dir
	}
	failed, lossy := false, false
	for _, name := range names {
		finding := func(f mailbox.Finding) {
			if f.Severity == mailbox.Damage || c.opt.json {
				c.finding(name, f)
			}
		}
		r, err := c.session.Repair(ctx, name, o, finding, func(s mailbox.Step) { c.step(name, s) })
		if err != nil {
			c.fail(opRepair, name, err)
			failed = true
			continue
		}
		lossy = lossy || r.Needed && !r.Account.Whole()
		c.repaired(name, r)
	}
	switch {
	case failed:
		return said(exitFailed)
	case lossy:
		return said(exitPartly)
	}
	return nil
}

// step prints one thing that is done.
func (c *cli) step(name string, s mailbox.Step) {
	if !c.opt.json {
		c.say(printable(name + ": " + s.String()))
		return
	}
	r := stepRecord{Mailbox: name, Action: s.Action, Message: s.Seq, Octets: s.Octets, Text: s.Text, DryRun: c.session.DryRun}
	if s.Off >= 0 {
		r.Offset = &s.Off
	}
	c.emit(r)
}

// repaired says what came of it: nothing about a mailbox that is sound.
func (c *cli) repaired(name string, r ops.Repaired) {
	if c.opt.json {
		c.emit(newRepairSummary(name, r, c.session.DryRun))
		return
	}
	if !r.Needed {
		if c.opt.verbose {
			c.say(printable(r.Inspection.String()))
		}
		return
	}
	how := "repaired: "
	if c.session.DryRun {
		how = "would be repaired: "
	}
	c.say(printable(name + ": " + how + r.Account.String()))
	for _, made := range []struct{ what, path string }{
		{"the original is %s", r.Files.Original},
		{"what was set aside is in %s", r.Files.Lost},
		{"and, as messages, in %s", r.Files.Salvage},
	} {
		if made.path != "" {
			c.say(printable(name + ": " + fmt.Sprintf(made.what, made.path)))
		}
	}
}

// A stepRecord is one thing that a repair does.
type stepRecord struct {
	Mailbox string `json:"mailbox"`
	Action  string `json:"action"`
	Message uint32 `json:"number,omitempty"` // in the result
	Offset  *int64 `json:"offset,omitempty"` // octet in the original
	Octets  int64  `json:"octets,omitempty"`
	Text    string `json:"message"` // for people
	DryRun  bool   `json:"dry_run"`
}

// A repairSummary is the account of a repair.
type repairSummary struct {
	Command  string `json:"command"`
	Mailbox  string `json:"mailbox"`
	Path     string `json:"path"`
	Format   string `json:"format"`
	Damages  int    `json:"damages"` // before
	Repaired bool   `json:"repaired"`
	Whole    bool   `json:"whole"` // nothing lost, nothing guessed
	Messages uint32 `json:"messages"`

	Intact        uint32 `json:"intact"`
	Partial       uint32 `json:"partial"`
	GuessedDates  uint32 `json:"guessed_dates"`
	LostFlags     uint32 `json:"lost_flags"`
	GuessedUIDs   uint32 `json:"guessed_uids"`
	WrongSizes    uint32 `json:"wrong_sizes"`
	MadeKeywords  int    `json:"made_keywords"`
	SetAside      int64  `json:"set_aside"` // octets
	Missing       bool   `json:"missing"`
	UIDValidity   uint32 `json:"uidvalidity"`
	UIDsChanged   bool   `json:"uids_changed"`
	Original      string `json:"original,omitempty"`
	LostAndFound  string `json:"lost,omitempty"`
	SalvageFolder string `json:"salvage,omitempty"`
	DryRun        bool   `json:"dry_run"`
}

func newRepairSummary(name string, r ops.Repaired, dry bool) repairSummary {
	a := r.Account
	return repairSummary{
		Command: "repair", Mailbox: name, Path: r.Path, Format: r.Driver, Damages: r.Damages, Repaired: r.Needed, Whole: a.Whole(),
		Messages: a.Messages, Intact: a.Intact, Partial: a.Partial,
		GuessedDates: a.Dates, LostFlags: a.Flags, GuessedUIDs: a.UIDs, WrongSizes: a.Ends, MadeKeywords: a.Keywords,
		SetAside: a.SetAside, Missing: a.Gone, UIDValidity: a.UIDValidity, UIDsChanged: a.Raised,
		Original: r.Files.Original, LostAndFound: r.Files.Lost, SalvageFolder: r.Files.Salvage, DryRun: dry,
	}
}

func (stepRecord) recordType() string    { return typeStep }
func (repairSummary) recordType() string { return typeSummary }
