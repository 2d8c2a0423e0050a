package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailutil/pkg/ops"
)

func (c *cli) infoCommand() *cobra.Command {
	return c.command("info", "Tell about mailboxes: format, numbers, size, locks, and what is beside them.", 1, math.MaxInt, c.info)
}

// info ends in 3 when only some of the mailboxes could be told about.
func (c *cli) info(ctx context.Context, names []string) error {
	told := 0
	for _, name := range names {
		in, err := c.session.Info(ctx, name)
		if err != nil {
			c.fail(opOpen, name, err)
			continue
		}
		if c.opt.json {
			c.emit(newInfoSummary(name, in))
		} else {
			c.say(infoText(name, in, told > 0))
		}
		told++
	}
	switch told {
	case len(names):
		return nil
	case 0:
		return said(exitFailed)
	}
	return said(exitPartly)
}

// infoText is one "what: value" a line; an empty line parts mailboxes.
func infoText(name string, in ops.Info, more bool) string {
	var b strings.Builder
	if more {
		b.WriteByte('\n')
	}
	say := func(what, value string) { fmt.Fprintf(&b, "%-12s %s\n", what+":", printable(value)) }
	say("mailbox", name)
	say("format", in.Driver)
	say("path", in.Path)
	say("messages", fmt.Sprintf("%d (%d recent, %d unseen)", in.Messages, in.Recent, in.Unseen))
	say("uidvalidity", decimal(in.UIDValidity))
	say("uidnext", decimal(in.UIDNext))
	say("keywords", strings.Join(in.Keywords, " "))
	if !in.Modified.IsZero() {
		say("size", fmt.Sprintf("%d octets", in.Size))
		say("modified", in.Modified.Format(time.RFC3339))
	}
	for _, h := range in.Holders {
		say("locked by", h.String())
	}
	if in.DotLock != "" {
		say("lock file", in.DotLock)
	}
	if in.Pending {
		say("interrupted", "a change, which the next command that opens the mailbox finishes")
	}
	if in.Lost != "" {
		say("lost mail", in.Lost)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// An infoSummary is what is known of a mailbox.
type infoSummary struct {
	Command     string         `json:"command"`
	Mailbox     string         `json:"mailbox"` // as the user wrote it
	Format      string         `json:"format"`
	Path        string         `json:"path"`
	Messages    uint32         `json:"messages"`
	Recent      uint32         `json:"recent"`
	Unseen      uint32         `json:"unseen"`
	UIDValidity uint32         `json:"uidvalidity"`
	UIDNext     uint32         `json:"uidnext"`
	Keywords    []string       `json:"keywords"`
	Size        int64          `json:"size"`                // octets on disk
	Modified    string         `json:"modified,omitempty"`  // RFC 3339
	Holders     []holderRecord `json:"holders"`             // who has locks on it
	LockFile    string         `json:"lock_file,omitempty"` // path
	Interrupted bool           `json:"interrupted"`         // a change is to be finished
	Lost        string         `json:"lost,omitempty"`      // path
}

// A holderRecord is a process that has a lock.
type holderRecord struct {
	PID     int     `json:"pid,omitempty"`
	Command string  `json:"command,omitempty"`
	Seconds float64 `json:"seconds,omitempty"` // for how long
}

func (infoSummary) recordType() string { return typeSummary }

func newInfoSummary(name string, in ops.Info) infoSummary {
	s := infoSummary{
		Command: "info", Mailbox: name, Format: in.Driver, Path: in.Path,
		Messages: in.Messages, Recent: in.Recent, Unseen: in.Unseen,
		UIDValidity: in.UIDValidity, UIDNext: in.UIDNext, Keywords: list(in.Keywords),
		Size: in.Size, Holders: []holderRecord{}, LockFile: in.DotLock, Interrupted: in.Pending, Lost: in.Lost,
	}
	if !in.Modified.IsZero() {
		s.Modified = in.Modified.Format(time.RFC3339)
	}
	for _, h := range in.Holders {
		s.Holders = append(s.Holders, holderRecord{h.PID, h.Command, h.Since.Seconds()})
	}
	return s
}
