package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// catOptions are the options of cat.
type catOptions struct {
	ops.CatOptions
	mbox bool
	dir  string // --eml
}

func (c *cli) catCommand() *cobra.Command {
	var o catOptions
	cmd := c.command("cat", "Print the messages of a mailbox, or those that meet all criteria, as they are.", 1, 2, func(ctx context.Context, args []string) error {
		return c.cat(ctx, args, o)
	})
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.Headers, "headers", false, "the header only")
	f.BoolVar(&o.CRLF, "crlf", false, "line ends CR LF, as on the wire")
	f.BoolVar(&o.mbox, "mbox", false, "as a mailbox in mbox format")
	f.StringVar(&o.dir, "eml", "", "each into a file of its own, NUMBER-UID.eml, in this `directory`")
	return cmd
}

func (c *cli) cat(ctx context.Context, args []string, o catOptions) error {
	if o.mbox && (o.CRLF || o.Headers || o.dir != "" || c.opt.json) {
		return usageError("--mbox goes with none of --headers, --crlf, --eml and --json")
	}
	filter, err := c.filter("cat", args[1:])
	if err != nil {
		return err
	}
	v, err := c.session.View(ctx, args[0], filter)
	if err != nil {
		return c.failed(opOpen, args[0], err)
	}
	out := &output{to: c.out}
	err = c.catView(ctx, v, args[0], out, o)
	if out.err != nil { // the reader has gone away, or the disk is full
		c.wrote(out.err)
		err = nil
	}
	if err = errors.Join(err, v.Close()); err != nil {
		return c.failed(opOpen, args[0], err)
	}
	return nil
}

// catView prints the messages of v.
func (c *cli) catView(ctx context.Context, v *ops.View, name string, out io.Writer, o catOptions) error {
	buffer := bufio.NewWriterSize(out, 64<<10)
	var err error
	switch {
	case o.dir != "" || c.opt.json:
		for m, merr := range v.Messages(ctx) {
			if err = merr; err == nil {
				err = c.catOne(v, m, name, buffer, o)
			}
			if err != nil {
				break
			}
		}
	case o.mbox:
		var altered mailbox.Altered
		_, altered, err = v.CatMbox(ctx, buffer)
		if altered.Any() && c.opt.verbose {
			c.warn("mailutil: an mbox cannot hold the messages as they are: " + altered.Words())
		}
	default:
		_, err = v.Cat(ctx, buffer, o.CatOptions)
	}
	return errors.Join(err, buffer.Flush())
}

// catOne makes the file of a message, or its object.
func (c *cli) catOne(v *ops.View, m mailbox.Message, name string, out io.Writer, o catOptions) error {
	r := textRecord{Mailbox: name, Number: m.Seq, UID: m.UID, Size: m.Size}
	if o.dir == "" {
		var text bytes.Buffer
		if err := v.WriteText(&text, m, o.CatOptions); err != nil {
			return err
		}
		r.Octets = text.Bytes()
		return encode(out, r)
	}
	var err error
	if r.File, err = v.CatFile(o.dir, m, o.CatOptions); err != nil {
		return err
	}
	switch {
	case c.opt.json:
		return encode(out, r)
	case c.opt.verbose:
		_, err = io.WriteString(out, r.File+"\n")
	}
	return err
}

// A textRecord is a message that cat has printed.
type textRecord struct {
	Mailbox string `json:"mailbox"`
	Number  uint32 `json:"number"`
	UID     uint32 `json:"uid"`
	Size    int64  `json:"size"`             // octets with CR LF line ends
	File    string `json:"file,omitempty"`   // with --eml
	Octets  []byte `json:"octets,omitempty"` // base64, the line ends as without --json
}

func (textRecord) recordType() string { return typeMessage }

// An output keeps the first error of writing, to tell it from those of reading.
type output struct {
	to  io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.to.Write(p)
	o.err = err
	return n, err
}
