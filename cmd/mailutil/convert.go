package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// convertOptions are the options of convert.
type convertOptions struct {
	ops.ConvertOptions
	recursive            bool
	keep, drop           bool
	jobs                 int
	overflow, list, file string
	origin               string
}

func (c *cli) convertCommand() *cobra.Command {
	var o convertOptions
	cmd := c.command("convert", "Change the format of mailboxes in place, under their locks; the originals are kept as NAME.orig.", 0, math.MaxInt, func(ctx context.Context, args []string) error {
		if err := c.checkConvert(&o, args); err != nil {
			return err
		}
		return c.convert(ctx, args, o)
	})
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.To, "to", "", "the `format` that they are to have")
	f.BoolVar(&o.recursive, "recursive", false, "also the mailboxes in directories")
	f.IntVar(&o.jobs, "jobs", 1, "convert this `number` of mailboxes at a time")
	f.BoolVar(&o.keep, "keep-original", false, "keep the original as NAME.orig; this is the default")
	f.BoolVar(&o.drop, "no-keep-original", false, "remove the original once the new mailbox has its name")
	f.StringVar(&o.overflow, "keywords-overflow", "fail", "`what` to do with keywords that the format has no room for: header or fail")
	f.BoolVar(&o.LoseUIDs, "lose-uids", false, "allow a format that keeps no UIDs for mailboxes that have them")
	addOrigin(cmd, &o.origin)
	f.StringVar(&o.list, "from-file", "", "read names of mailboxes, one a line or ended by NULs, from this `list`; - is standard input")
	f.StringVar(&o.file, "report", "", "write what became of each mailbox to this new `file`, as JSON")
	cmd.RegisterFlagCompletionFunc("to", func(_ *cobra.Command, _ []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return c.targets(), cobra.ShellCompDirectiveNoFileComp
	})
	cmd.RegisterFlagCompletionFunc("keywords-overflow", cobra.FixedCompletions([]string{"header", "fail"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// elsewhere are formats whose mailboxes are not where a path says.
var elsewhere = []string{"dummy", "phile", "mbox", "news", "imap", "nntp", "pop3"}

// targets are the formats that mailboxes can be converted to.
func (c *cli) targets() []string {
	var out []string
	for _, d := range c.session.Drivers {
		_, creates := d.(mailbox.Creator)
		_, appends := d.(mailbox.Appender)
		if creates && appends && !slices.Contains(elsewhere, d.Name()) {
			out = append(out, d.Name())
		}
	}
	return out
}

// checkConvert checks the options.
func (c *cli) checkConvert(o *convertOptions, args []string) error {
	known := false
	for _, format := range c.targets() {
		known = known || format == o.To
	}
	var err error
	if o.Origin, err = originOf(o.origin); err != nil {
		return err
	}
	if o.Origin == ops.Thunderbird {
		c.openThunderbird()
	}
	o.KeywordFields = o.overflow == "header"
	o.DropOriginal = o.drop
	switch {
	case o.To == "":
		return usageError(usageOf(c.prog, "convert"))
	case !known:
		return usageError("--to is one of " + strings.Join(c.targets(), ", ") + ", not " + o.To)
	case o.overflow != "header" && o.overflow != "fail":
		return usageError("--keywords-overflow is header or fail, not " + o.overflow)
	case o.keep && o.drop:
		return usageError("--keep-original and --no-keep-original are mutually exclusive")
	case o.jobs < 1:
		return usageError("--jobs is at least 1")
	case len(args) == 0 && o.list == "":
		return usageError(usageOf(c.prog, "convert"))
	}
	return nil
}

// A convertSummary is what became of one mailbox.
type convertSummary struct {
	Command         string        `json:"command"`
	Mailbox         string        `json:"mailbox"` // as the user wrote it
	Path            string        `json:"path"`
	From            string        `json:"from,omitempty"` // format
	To              string        `json:"to"`
	Outcome         string        `json:"outcome"` // converted, nothing_to_do, busy, failed
	Reason          string        `json:"reason,omitempty"`
	Original        string        `json:"original,omitempty"`  // path
	Recovered       string        `json:"recovered,omitempty"` // what an interrupted conversion had left
	Found           uint32        `json:"found"`
	Copied          uint32        `json:"copied"`
	Skipped         uint32        `json:"skipped"`
	Failed          uint32        `json:"failed"`
	Late            uint32        `json:"late"` // arrived meanwhile
	Octets          int64         `json:"octets"`
	AlteredMessages uint32        `json:"altered_messages"`
	Altered         alteredFields `json:"altered"`
	Mapped          mappedFields  `json:"mapped"`
	UIDsLost        bool          `json:"uids_lost"`
	UIDsNew         bool          `json:"uids_new"`
	Verified        bool          `json:"verified"`
	DryRun          bool          `json:"dry_run"`
}

// A convertTotal is what became of all.
type convertTotal struct {
	Command   string `json:"command"`
	Mailboxes int    `json:"mailboxes"`
	Converted int    `json:"converted"`
	Already   int    `json:"nothing_to_do"`
	Busy      int    `json:"busy"`
	Failed    int    `json:"failed"`
	Found     uint64 `json:"found"` // messages
	Copied    uint64 `json:"copied"`
	DryRun    bool   `json:"dry_run"`
	Exit      int    `json:"exit_status"`
}

func (convertSummary) recordType() string { return typeSummary }
func (convertTotal) recordType() string   { return typeSummary }

// convert converts mailboxes, some at a time, and reports in their order.
func (c *cli) convert(ctx context.Context, args []string, o convertOptions) (err error) {
	names, unread, err := c.namesToConvert(ctx, args, o)
	if err != nil {
		return err
	}
	var r *report
	if o.file != "" && !c.session.DryRun {
		if r, err = newReportFile(o.file); err != nil {
			return err
		}
	}
	names, below := c.session.DeepestFirst(names)
	total := convertTotal{Command: "convert", Mailboxes: len(names), DryRun: c.session.DryRun}
	for i, done := range c.startAll(ctx, names, below, o) {
		res := <-done
		if res.err != nil && errors.Is(res.err, context.Canceled) && res.c.Source == "" { // not begun
			continue
		}
		sum := c.converted(names[i], res.c, res.err, &total)
		if r != nil {
			r.add(sum)
		}
	}
	if o.Origin == ops.Thunderbird && !c.session.DryRun {
		unread += c.nest(ctx, names, o.To, r)
	}
	return c.convertedAll(total, unread, r)
}

// nest makes a hierarchy of the folders of Thunderbird and returns how many could
// not be given their names.
func (c *cli) nest(ctx context.Context, names []string, format string, r *report) (failed int) {
	stay := c.session.Nest(ctx, names, func(from, to string, err error) {
		if err != nil {
			c.fail(opConvert, from, err)
			failed++
			return
		}
		done := doneSummary{"rename", from, to, false}
		if r != nil {
			r.add(done)
		}
		if c.opt.json {
			c.emit(done)
		} else if !c.opt.quiet {
			c.warn(fmt.Sprintf("mailutil: %s is called %s now", from, to))
		}
	})
	if stay > 0 && !c.opt.json && !c.opt.quiet {
		c.warn(fmt.Sprintf("mailutil: not moved out of .sbd: %s, since one of the format %s is a file, and nothing can be below it", mailboxes(stay), format))
	}
	return failed
}

// A conversion is an outcome of one of several at a time.
type conversion struct {
	c   ops.Conversion
	err error
}

// startAll begins to convert; the outcomes come in the order of the names. Each
// mailbox waits for those below it, which all come before it.
func (c *cli) startAll(ctx context.Context, names []string, below [][]int, o convertOptions) []chan conversion {
	out, done := make([]chan conversion, len(names)), make([]chan struct{}, len(names))
	for i := range out {
		out[i], done[i] = make(chan conversion, 1), make(chan struct{})
	}
	var mu sync.Mutex
	next := 0
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1
	}
	for range min(o.jobs, len(names)) {
		go func() {
			for i := take(); i < len(names); i = take() {
				for _, k := range below[i] {
					<-done[k]
				}
				out[i] <- c.convertOne(ctx, names[i], o)
				close(done[i])
			}
		}()
	}
	return out
}

func (c *cli) convertOne(ctx context.Context, name string, o convertOptions) conversion {
	if err := ctx.Err(); err != nil {
		return conversion{err: err}
	}
	if o.jobs == 1 {
		m := c.newMeter(name)
		defer m.end()
		o.Progress = m.show
	}
	res, err := c.session.Convert(ctx, name, o.ConvertOptions)
	return conversion{res, err}
}

// converted reports about one mailbox and counts it.
func (c *cli) converted(name string, res ops.Conversion, err error, total *convertTotal) convertSummary {
	sum := newConvertSummary(name, res, c.session.DryRun)
	total.Found += uint64(res.Found)
	total.Copied += uint64(res.Copied)
	switch {
	case errors.Is(err, mailbox.ErrBusy):
		sum.Outcome = "busy"
		total.Busy++
	case err != nil:
		sum.Outcome = "failed"
		total.Failed++
	case res.Already:
		sum.Outcome = "nothing_to_do"
		total.Already++
	default:
		sum.Outcome = "converted"
		total.Converted++
	}
	if res.Recovered != "" {
		c.notify(mailbox.Warn, res.Recovered)
	}
	if err != nil {
		sum.Reason = cause(err)
		c.fail(opConvert, name, err)
	}
	if c.opt.json {
		c.emit(sum)
		return sum
	}
	c.sayConverted(name, res, err)
	return sum
}

// sayConverted says what became of a mailbox: in a dry run always, else with
// -v.
func (c *cli) sayConverted(name string, res ops.Conversion, err error) {
	switch {
	case err != nil:
		return
	case res.Belongs:
		if !c.opt.quiet {
			c.warn(fmt.Sprintf("mailutil: %s belongs to another mailbox, and is passed over", name))
		}
		return
	case c.session.DryRun && !res.Already:
		c.would(fmt.Sprintf("convert %s from %s to %s: %s, %d octets", name, res.From, res.To, messages(res.Copied), res.Octets))
		return
	case c.opt.verbose && res.Already:
		c.say(fmt.Sprintf("%s: %s already, nothing to do", name, res.From))
		return
	case c.opt.verbose:
		kept := "removed"
		if res.Kept != "" {
			kept = "kept as " + res.Kept
		}
		c.say(fmt.Sprintf("%s: %s to %s, %s, the original is %s", name, res.From, res.To, messages(res.Copied), kept))
	}
	if res.Late > 0 {
		c.warn(fmt.Sprintf("mailutil: %s arrived in the original of %s meanwhile, now in the new one, too", messages(res.Late), name))
	}
	if res.UIDsNew && !c.opt.quiet {
		c.warn(fmt.Sprintf("mailutil: the UIDs of %s are new: %s keeps none, or no UIDVALIDITY", name, res.From))
	}
	if !res.Already {
		c.account(res.Account, nil)
	}
}

// convertedAll says what became of all mailboxes.
func (c *cli) convertedAll(total convertTotal, unread int, r *report) error {
	switch missed := total.Converted+total.Already < total.Mailboxes || unread > 0; {
	case !missed:
	case total.Busy > 0 || total.Converted+total.Already > 0:
		total.Exit = exitPartly
	default:
		total.Exit = exitFailed
	}
	if r != nil {
		r.add(total)
		if err := r.close(); err != nil {
			c.complainOf("mailutil: the report is not complete: "+err.Error(), "", err)
			total.Exit = max(total.Exit, exitPartly)
		}
	}
	if c.opt.json {
		c.emit(total)
	} else if !c.opt.quiet && total.Mailboxes > 0 && (c.opt.verbose || total.Exit != exitDone || total.Mailboxes > 1) {
		left := total.Mailboxes - total.Converted - total.Already - total.Busy - total.Failed
		c.warn(fmt.Sprintf("mailutil: %s = %d converted + %d with nothing to do + %d busy + %d failed + %d not begun",
			mailboxes(total.Mailboxes), total.Converted, total.Already, total.Busy, total.Failed, left))
	}
	if total.Exit != exitDone {
		return said(total.Exit)
	}
	return nil
}

func newConvertSummary(name string, res ops.Conversion, dry bool) convertSummary {
	return convertSummary{
		Command: "convert", Mailbox: name, Path: res.Source, From: res.From, To: res.To, Original: res.Kept, Recovered: res.Recovered,
		Found: res.Found, Copied: res.Copied, Skipped: res.Skipped, Failed: res.Failed, Late: res.Late, Octets: res.Octets,
		AlteredMessages: res.AlteredMessages, Altered: newAltered(res.Altered), Mapped: newMapped(res.Mapped), UIDsLost: res.UIDsLost, UIDsNew: res.UIDsNew, Verified: res.Verified, DryRun: dry,
	}
}

// namesToConvert lists the mailboxes: those of the command line and those of
// the list, and with --recursive those below them. unread is how many places
// could not be looked through.
func (c *cli) namesToConvert(ctx context.Context, args []string, o convertOptions) (names []string, unread int, err error) {
	if o.list != "" {
		more, err := c.readList(o.list)
		if err != nil {
			return nil, 0, err
		}
		args = append(args[:len(args):len(args)], more...)
	}
	if !o.recursive {
		return args, 0, nil
	}
	for _, name := range args {
		found, missed, err := c.session.Below(ctx, name)
		for _, err := range append(missed, err) {
			if err != nil {
				c.fail(opConvert, name, err)
				unread++
			}
		}
		names = append(names, found...)
	}
	return names, unread, nil
}

// readList reads names, each ended by a NUL where there is one in the list,
// else one a line.
func (c *cli) readList(file string) ([]string, error) {
	in := io.Reader(c.in)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = bufio.NewReader(f)
	}
	b, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	end := "\n"
	if bytes.IndexByte(b, 0) >= 0 {
		end = "\x00"
	}
	var names []string
	for _, name := range strings.Split(string(b), end) {
		if name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}
