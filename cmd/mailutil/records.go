package main

import (
	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// The results of commands, as --json prints them.

// A statusSummary is what check has found.
type statusSummary struct {
	Command  string `json:"command"`
	Mailbox  string `json:"mailbox"` // as the user wrote it
	Path     string `json:"path,omitempty"`
	Format   string `json:"format,omitempty"`
	Messages uint32 `json:"messages"`
	Recent   uint32 `json:"recent"`
	Unseen   uint32 `json:"unseen"`
}

// A doneSummary is of create, delete and rename: the mailbox, and its new name.
type doneSummary struct {
	Command string `json:"command"`
	Mailbox string `json:"mailbox"`
	Target  string `json:"target,omitempty"`
	DryRun  bool   `json:"dry_run"`
}

// A pruneSummary counts messages.
type pruneSummary struct {
	Command  string `json:"command"`
	Mailbox  string `json:"mailbox"`
	Found    uint32 `json:"found"`
	Matched  uint32 `json:"matched"`
	Expunged uint32 `json:"expunged"`
	DryRun   bool   `json:"dry_run"`
}

// A copySummary is the account of a copy, a move or an append.
type copySummary struct {
	Command         string        `json:"command"`
	Source          string        `json:"source"` // its path
	Target          string        `json:"target"` // as the user wrote it
	Found           uint32        `json:"found"`
	NotSelected     uint32        `json:"not_selected"`
	Present         uint32        `json:"present"` // in the target already
	Copied          uint32        `json:"copied"`
	Resumed         uint32        `json:"resumed"` // of these, by an earlier run that was interrupted
	Skipped         uint32        `json:"skipped"`
	Failed          uint32        `json:"failed"`
	Octets          int64         `json:"octets"`
	Deleted         uint32        `json:"deleted"`
	AlteredMessages uint32        `json:"altered_messages"`
	Altered         alteredFields `json:"altered"`
	Dates           dateFields    `json:"dates"`
	Mapped          mappedFields  `json:"mapped"`
	Verified        bool          `json:"verified"`
	Differing       uint32        `json:"differing"`
	SourceProven    bool          `json:"source_proven"`
	SourceGrew      int64         `json:"source_grew"` // octets
	DryRun          bool          `json:"dry_run"`
	Exit            int           `json:"exit_status"`
}

// dateFields count from where the internal dates came.
type dateFields struct {
	Internal uint32 `json:"internal"`
	Header   uint32 `json:"header"`
	Received uint32 `json:"received"`
	None     uint32 `json:"none"`
}

// mappedFields count what was made of the header fields of another program.
type mappedFields struct {
	Messages uint32   `json:"messages"` // that have such fields
	Seen     uint32   `json:"seen"`
	Answered uint32   `json:"answered"`
	Flagged  uint32   `json:"flagged"`
	Deleted  uint32   `json:"deleted"`
	Drafts   uint32   `json:"drafts"`
	Keywords uint32   `json:"keywords"`
	Names    []string `json:"names"` // new keywords
}

// alteredFields count what a format could not hold.
type alteredFields struct {
	QuotedFrom     int `json:"quoted_from"`
	RenamedHeaders int `json:"renamed_headers"`
	LineEnds       int `json:"line_ends"`
	Newlines       int `json:"newlines"`
	Keywords       int `json:"keywords"`
	Dates          int `json:"dates"`
	Octets         int `json:"octets_dropped"`
}

func newAltered(a mailbox.Altered) alteredFields {
	return alteredFields{a.QuotedFrom, a.RenamedHeaders, a.LineEnds, a.Newlines, a.Keywords, a.Dates, a.Octets}
}

func newMapped(m ops.Mapped) mappedFields {
	return mappedFields{m.Messages, m.Seen, m.Answered, m.Flagged, m.Deleted, m.Drafts, m.Keywords, list(m.Names)}
}

// done says, with --json or --dry-run, that a command without results is done.
func (c *cli) done(command, name, target string) {
	what := command + " " + name
	if target != "" {
		what += " to " + target
	}
	c.would(what)
	if c.opt.json {
		c.emit(doneSummary{command, name, target, c.session.DryRun})
	}
}

// would says in a dry run what would be done.
func (c *cli) would(what string) {
	if c.session.DryRun && !c.opt.json {
		c.say("would " + what)
	}
}

func (statusSummary) recordType() string { return typeSummary }
func (doneSummary) recordType() string   { return typeSummary }
func (pruneSummary) recordType() string  { return typeSummary }
func (copySummary) recordType() string   { return typeSummary }

func newCopySummary(command string, acc ops.Account, exit int) copySummary {
	return copySummary{
		Command: command, Source: acc.Source, Target: acc.Target,
		Found: acc.Found, NotSelected: acc.NotSelected, Present: acc.Present, Copied: acc.Copied, Resumed: acc.Resumed, Skipped: acc.Skipped, Failed: acc.Failed,
		Octets: acc.Octets, Deleted: acc.Deleted,
		AlteredMessages: acc.AlteredMessages, Altered: newAltered(acc.Altered),
		Dates:    dateFields(acc.Dates),
		Mapped:   newMapped(acc.Mapped),
		Verified: acc.Verified, Differing: acc.Differing, SourceProven: acc.SourceProven, SourceGrew: acc.SourceGrew, Exit: exit,
	}
}
