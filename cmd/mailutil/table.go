package main

import (
	"bufio"
	"errors"
	"strings"

	"mailutil/pkg/mailbox"
)

// A table prints messages, one a line: on a terminal in columns that are cut
// to its width, below a line of names; elsewhere, and with -0, all of each
// field between tabs; with --json as objects.
type table struct {
	c      *cli
	out    *bufio.Writer
	fields []field
	null   bool // -0
	screen int  // columns of the terminal, 0 for none
	widths []int
	titled bool
	closed bool // standard output takes no more
}

// errUnwritten means that standard output takes no more: c.lost says why, or
// its reader has gone away.
var errUnwritten = errors.New("standard output takes no more")

func (c *cli) newTable(fields []field, null bool) *table {
	t := &table{c: c, out: bufio.NewWriterSize(c.out, 64<<10), fields: fields, null: null}
	if !null && !c.opt.json {
		t.screen = columns(c.out)
	}
	return t
}

// begin makes the table ready for the messages of a mailbox.
func (t *table) begin(st mailbox.Status) {
	if t.screen == 0 {
		return
	}
	t.widths = layout(t.fields, st, t.screen)
	if t.titled {
		return
	}
	t.titled = true
	t.columns(func(f field) string { return f.name })
}

// row prints a message; the error is errUnwritten.
func (t *table) row(r *row) error {
	switch {
	case t.c.opt.json:
		return t.wrote(encode(t.out, messageRecord{t.fields, r}))
	case t.screen > 0:
		t.columns(func(f field) string {
			if f.short != nil {
				return f.short(r)
			}
			return f.text(r)
		})
		return t.wrote(t.out.Flush()) // people see what was found so far
	}
	for i, f := range t.fields {
		if i > 0 {
			t.out.WriteByte('\t')
		}
		t.out.WriteString(printable(f.text(r)))
	}
	return t.line("")
}

// columns prints a line for a terminal.
func (t *table) columns(text func(f field) string) {
	var line strings.Builder
	for i, f := range t.fields {
		if t.widths[i] == 0 {
			continue
		}
		if line.Len() > 0 {
			line.WriteByte(' ')
		}
		line.WriteString(fit(printable(text(f)), t.widths[i], f.right))
	}
	t.out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

// line prints text.
func (t *table) line(text string) error {
	t.out.WriteString(text)
	end := byte('\n')
	if t.null {
		end = 0
	}
	return t.wrote(t.out.WriteByte(end)) // an error of before comes again
}

// end prints what is left.
func (t *table) end() { t.wrote(t.out.Flush()) }

func (t *table) wrote(err error) error {
	if err == nil {
		return nil
	}
	t.c.wrote(err)
	t.closed = true
	return errUnwritten
}

// A column of text is maxText columns wide where there is room, and never
// narrower than minText.
const (
	minText = 8
	maxText = 22
)

// layout gives each field its columns; 0 for one that is not shown. Columns of
// text share what the others leave, and the subject, else the last of them,
// takes the rest.
func layout(fields []field, st mailbox.Status, screen int) []int {
	widths := make([]int, len(fields))
	left, texts, wide := screen+1, 0, -1
	for i, f := range fields {
		if f.header != "" {
			texts++
			if wide < 0 || fields[wide].name != "subject" {
				wide = i
			}
			left--
			continue
		}
		if widths[i] = f.width(st); widths[i] > 0 {
			left -= widths[i] + 1
		}
	}
	if texts == 0 {
		return widths
	}
	each := min(max(left/(texts+1), minText), maxText) // the wide one counts twice
	for i, f := range fields {
		if f.header != "" && i != wide {
			widths[i] = each
		}
	}
	widths[wide] = max(left-(texts-1)*each, minText)
	return widths
}
