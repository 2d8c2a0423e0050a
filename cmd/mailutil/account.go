package main

import (
	"fmt"
	"strings"

	"mailutil/pkg/ops"
)

// account says on standard error what became of the messages: always when
// there is more to say than that all were copied, else with -v. Standard
// output has what the original prints and nothing else.
func (c *cli) account(acc ops.Account, err error) {
	plain := err == nil && acc.Balanced() && acc.Skipped == 0 && acc.Failed == 0 && acc.AlteredMessages == 0 &&
		acc.SourceGrew == 0 && acc.NotSelected == 0 && acc.Resumed == 0 && acc.Present == 0 && !acc.UIDsLost && acc.Mapped.Messages == 0 && acc.DateFrom == ops.DateInternal && (acc.SourceProven || acc.Copied == 0)
	if c.opt.quiet || c.opt.json || plain && !c.opt.verbose {
		return
	}
	c.exceptions(acc)
	if acc.AlteredMessages > 0 {
		c.warn(fmt.Sprintf("mailutil: %s cannot hold %d of the messages as they are: %s", acc.Target, acc.AlteredMessages, acc.Altered.Words()))
	}
	if acc.UIDsLost {
		c.warn(fmt.Sprintf("mailutil: the format of %s keeps no UIDs", acc.Target))
	}
	if acc.SourceGrew > 0 {
		c.warn(fmt.Sprintf("mailutil: %d octets of new mail arrived in %s meanwhile and were not copied", acc.SourceGrew, acc.Source))
	}
	if err == nil && acc.Copied > acc.Resumed && !acc.SourceProven {
		c.warn(fmt.Sprintf("mailutil: it cannot be proven that %s stayed as it was", acc.Source))
	}
	if acc.Resumed > 0 {
		c.warn(fmt.Sprintf("mailutil: %d of them were copied before, by a run that was interrupted", acc.Resumed))
	}
	if acc.Mapped.Messages > 0 {
		c.warn("mailutil: " + acc.Target + ": " + mapped(acc.Mapped))
	}
	if acc.NotSelected > 0 {
		c.warn(fmt.Sprintf("mailutil: %s not selected", messages(acc.NotSelected)))
	}
	if acc.Present > 0 {
		c.warn(fmt.Sprintf("mailutil: %s already in %s", messages(acc.Present), acc.Target))
	}
	if d := acc.Dates; acc.DateFrom != ops.DateInternal {
		c.warn(fmt.Sprintf("mailutil: %d dates from Date, %d from Received, %d internal dates, %d none", d.Header, d.Received, d.Internal, d.None))
	}
	if err == nil && acc.Verified && acc.Copied > 0 && acc.Deleted == 0 {
		c.warn("mailutil: " + acc.Target + " was read back: all is as it was added")
	}
	c.warn("mailutil: " + acc.Equation())
}

// mapped says what was made of the header fields of another program.
func mapped(m ops.Mapped) string {
	text := fmt.Sprintf("header fields of %s: %d seen, %d answered, %d flagged, %d deleted, %d drafts, %d keywords",
		messages(m.Messages), m.Seen, m.Answered, m.Flagged, m.Deleted, m.Drafts, m.Keywords)
	if len(m.Names) > 0 {
		text += "; new keywords: " + strings.Join(m.Names, " ")
	}
	return text
}

// messages counts messages in words.
func messages(n uint32) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// mailboxes counts mailboxes in words.
func mailboxes(n int) string {
	if n == 1 {
		return "1 mailbox"
	}
	return fmt.Sprintf("%d mailboxes", n)
}

// otherwise says what the target gives back otherwise than it was added.
func otherwise(parts []string) string {
	return "read back with another " + strings.Join(parts, ", ")
}

// exceptions lists the messages that were skipped; with -v those that were
// altered, too.
func (c *cli) exceptions(acc ops.Account) {
	for _, e := range acc.Exceptions {
		switch {
		case e.Err != nil:
			c.warn(fmt.Sprintf("mailutil: message %d was not copied: %v", e.Seq, e.Err))
		case e.Differs != nil:
			c.warn(fmt.Sprintf("mailutil: message %d: %s", e.Seq, otherwise(e.Differs)))
		case c.opt.verbose:
			c.warn(fmt.Sprintf("mailutil: message %d: %s", e.Seq, e.Altered.Words()))
		}
	}
	if len(acc.Exceptions) == ops.MaxExceptions {
		c.warn(fmt.Sprintf("mailutil: only the first %d such messages are listed", ops.MaxExceptions))
	}
}
