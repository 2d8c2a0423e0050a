package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"mailutil/pkg/ops"
	"mailutil/pkg/search"
)

// listFields are shown where none are asked for.
const listFields = "number,uid,date,flags,keywords,from,subject,size"

func (c *cli) listCommand() *cobra.Command {
	var names string
	var null bool
	cmd := c.command("list", "List the messages of a mailbox, or those that meet all criteria, one a line.", 1, 2, func(ctx context.Context, args []string) error {
		return c.list(ctx, args, names, null)
	})
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&names, "fields", listFields, "show these `fields`, separated by commas")
	f.BoolVarP(&null, "null", "0", false, "end each line with a NUL, for xargs -0")
	return cmd
}

func (c *cli) list(ctx context.Context, args []string, names string, null bool) error {
	fields, err := parseFields(names)
	if err != nil {
		return err
	}
	filter, err := c.filter("list", args[1:])
	if err != nil {
		return err
	}
	t := c.newTable(fields, null)
	defer t.end()
	_, err = c.show(ctx, args[0], filter, t)
	return err
}

// filter reads the criteria, if any.
func (c *cli) filter(command string, args []string) (f ops.Filter, err error) {
	if len(args) == 0 {
		return f, nil
	}
	f.Criteria, err = search.Parse(args[0], c.session.Env.Now())
	if err != nil {
		c.complainOf(err.Error(), "", err)
		err = usageError(usageOf(c.prog, command))
	}
	return f, err
}

// show prints the messages of a mailbox that filter lets through, and says how
// many these are. An error has been reported. errUnwritten is none: then there
// is nobody left to print for.
func (c *cli) show(ctx context.Context, name string, filter ops.Filter, t *table) (n uint32, err error) {
	v, err := c.session.View(ctx, name, filter)
	if err != nil {
		return 0, c.failed(opOpen, name, err)
	}
	st := v.Status()
	t.begin(st)
	headers := headersOf(t.fields)
	for e, err := range v.List(ctx, headers...) {
		if err == nil {
			n++
			err = t.row(&row{mailbox: name, status: &st, Entry: e, headers: headers})
		}
		if errors.Is(err, errUnwritten) {
			break
		}
		if err != nil {
			t.end() // what came before, before the error
			return n, c.failed(opOpen, name, errors.Join(err, v.Close()))
		}
	}
	if err := v.Close(); err != nil {
		return n, c.failed(opOpen, name, err)
	}
	return n, nil
}
