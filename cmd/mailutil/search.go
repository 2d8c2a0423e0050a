package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"mailutil/pkg/ops"
)

// searchFields are shown where none are asked for.
const searchFields = "mailbox,number,uid,date,from,subject"

// searchOptions are the options of search.
type searchOptions struct {
	fields      string
	null        bool
	raw         string
	count, only bool
}

func (c *cli) searchCommand() *cobra.Command {
	var o searchOptions
	cmd := c.command("search", "Find the messages that meet all criteria, in any number of mailboxes.", 2, math.MaxInt, func(ctx context.Context, args []string) error {
		return c.search(ctx, args[:len(args)-1], args[len(args)-1], o)
	})
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.fields, "fields", searchFields, "show these `fields`, separated by commas")
	f.BoolVarP(&o.null, "null", "0", false, "end each line with a NUL, for xargs -0")
	f.StringVar(&o.raw, "raw", "", "only messages with these `octets` in them, as they stand")
	f.BoolVar(&o.count, "count", false, "how many messages of each mailbox, not which")
	f.BoolVarP(&o.only, "mailboxes", "l", false, "the mailboxes that have any, not the messages")
	return cmd
}

// search ends like grep: 0 when something was found, 1 when nothing was. That
// a mailbox could not be searched is 3, whatever was found in others.
func (c *cli) search(ctx context.Context, names []string, criteria string, o searchOptions) error {
	fields, err := parseFields(o.fields)
	if err != nil {
		return err
	}
	filter, err := c.filter("search", []string{criteria})
	if err != nil {
		return err
	}
	filter.Octets = []byte(o.raw)
	t := c.newTable(fields, o.null)
	found, failed := false, false
	for _, name := range names {
		n, err := c.searchOne(ctx, name, filter, t, o)
		found = found || n > 0
		failed = failed || err != nil
		if t.closed || ctx.Err() != nil {
			break
		}
	}
	t.end()
	switch {
	case failed:
		return said(exitPartly)
	case !found:
		return said(exitFailed)
	}
	return nil
}

// searchOne searches a mailbox and prints what was asked for. An error has been
// reported.
func (c *cli) searchOne(ctx context.Context, name string, filter ops.Filter, t *table, o searchOptions) (n uint32, err error) {
	if !o.count && !o.only {
		return c.show(ctx, name, filter, t)
	}
	n, err = c.matching(ctx, name, filter, o.only && !o.count)
	switch {
	case err != nil || o.only && n == 0:
	case c.opt.json && o.count:
		c.emit(searchSummary{"search", name, &n})
	case c.opt.json:
		c.emit(searchSummary{"search", name, nil})
	case o.count:
		t.line(fmt.Sprintf("%s\t%d", printable(name), n))
	default:
		t.line(printable(name))
	}
	return n, err
}

// matching counts the messages that filter lets through, up to one where that
// is enough.
func (c *cli) matching(ctx context.Context, name string, filter ops.Filter, one bool) (n uint32, err error) {
	v, err := c.session.View(ctx, name, filter)
	if err != nil {
		return 0, c.failed(opOpen, name, err)
	}
	for _, merr := range v.Messages(ctx) {
		if err = merr; err != nil {
			break
		}
		if n++; one {
			break
		}
	}
	if err = errors.Join(err, v.Close()); err != nil {
		return n, c.failed(opOpen, name, err)
	}
	return n, nil
}

// A searchSummary is a mailbox, with --count or -l.
type searchSummary struct {
	Command string  `json:"command"`
	Mailbox string  `json:"mailbox"`
	Matched *uint32 `json:"matched,omitempty"` // with --count
}

func (searchSummary) recordType() string { return typeSummary }
