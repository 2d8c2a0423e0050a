package mailboxtest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// A mutant says how a driver is broken.
type mutant struct {
	// of the driver
	probe            func(bool) bool
	noContext, makes bool // make what is missing
	forgives         error
	options          func(*mailbox.AppendOptions)

	// of a delivery
	item         func(*mailbox.Item)
	text         func(string) string
	altered      mailbox.Altered
	abortCommits bool
	refuses      error // what Add returns for no text, and from then on
	early        bool  // each message is committed when it is added
	uids         func(*mailbox.UIDs)

	// of a mailbox
	message              func(*mailbox.Message)
	status               func(*mailbox.Status)
	content              func(mailbox.Content) mailbox.Content
	storesNothing, blind bool
	looksFirst           bool // Store pings
	doomed               func(mailbox.Set) mailbox.Set
	listsAll, opensAny   bool
	closesOnce           bool
}

type mutantDriver struct {
	*mailboxtest.Memory
	m *mutant
}

func (d *mutantDriver) ctx(ctx context.Context) context.Context {
	if d.m.noContext {
		return context.Background()
	}
	return ctx
}

func (d *mutantDriver) forgive(err error) error {
	if d.m.forgives != nil && errors.Is(err, d.m.forgives) {
		return nil
	}
	return err
}

// make creates n where the mutant makes what is missing.
func (d *mutantDriver) make(n mailbox.Name) {
	if d.m.makes {
		d.Memory.Create(context.Background(), n)
	}
}

func (d *mutantDriver) Probe(n mailbox.Name) (bool, error) {
	is, err := d.Memory.Probe(n)
	if d.m.probe != nil {
		is = d.m.probe(is)
	}
	return is, err
}

func (d *mutantDriver) Create(ctx context.Context, n mailbox.Name) error {
	return d.forgive(d.Memory.Create(d.ctx(ctx), n))
}

func (d *mutantDriver) Delete(ctx context.Context, n mailbox.Name) error {
	return d.forgive(d.Memory.Delete(d.ctx(ctx), n))
}

func (d *mutantDriver) Rename(ctx context.Context, from, to mailbox.Name) error {
	return d.forgive(d.Memory.Rename(d.ctx(ctx), from, to))
}

func (d *mutantDriver) Open(ctx context.Context, n mailbox.Name, mode mailbox.Mode) (mailbox.Mailbox, error) {
	d.make(n)
	mb, err := d.Memory.Open(d.ctx(ctx), n, mode)
	if err != nil {
		return nil, err
	}
	return &mutantMailbox{Mailbox: mb, m: d.m}, nil
}

func (d *mutantDriver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if d.m.options != nil {
		d.m.options(&o)
	}
	d.make(n)
	del, err := d.Memory.Append(d.ctx(ctx), n, o)
	if err != nil {
		return nil, err
	}
	return &mutantDelivery{Delivery: del, m: d.m, again: func() mailbox.Delivery {
		one, _ := d.Memory.Append(ctx, n, o)
		return one
	}}, nil
}

type mutantDelivery struct {
	mailbox.Delivery
	m     *mutant
	again func() mailbox.Delivery // another one

	refused bool // m.refuses
}

func (d *mutantDelivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	if d.m.item != nil {
		d.m.item(&it)
	}
	if d.m.refuses != nil && (d.refused || it.Size == 0) {
		d.refused = true
		return mailbox.Altered{}, d.m.refuses
	}
	if d.m.text != nil {
		text, err := io.ReadAll(it.Text)
		if err != nil {
			return mailbox.Altered{}, err
		}
		it.Text, it.Size = strings.NewReader(d.m.text(string(text))), -1
	}
	if d.m.early {
		one := d.again()
		defer one.Commit()
		return one.Add(it)
	}
	alt, err := d.Delivery.Add(it)
	return alt.Plus(d.m.altered), err
}

func (d *mutantDelivery) Commit() (mailbox.UIDs, error) {
	u, err := d.Delivery.Commit()
	if d.m.uids != nil {
		u = mailbox.UIDs{}
	}
	return u, err
}

func (d *mutantDelivery) Abort() error {
	if d.m.abortCommits {
		d.Delivery.Commit()
	}
	return d.Delivery.Abort()
}

type mutantMailbox struct {
	mailbox.Mailbox
	m      *mutant
	closed bool
}

func (b *mutantMailbox) Close() error {
	if b.m.closesOnce && b.closed {
		return errors.New("closed twice")
	}
	b.closed = true
	return b.Mailbox.Close()
}

func (b *mutantMailbox) Sender(seq uint32) (string, error) {
	return b.Mailbox.(mailbox.Enveloper).Sender(seq)
}

func (b *mutantMailbox) Status() mailbox.Status {
	st := b.Mailbox.Status()
	if b.m.status != nil {
		b.m.status(&st)
	}
	return st
}

func (b *mutantMailbox) Messages(s mailbox.Set) iter.Seq2[mailbox.Message, error] {
	if b.m.listsAll {
		s = mailbox.All
	}
	return func(yield func(mailbox.Message, error) bool) {
		for m, err := range b.Mailbox.Messages(s) {
			if b.m.message != nil {
				b.m.message(&m)
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

func (b *mutantMailbox) Open(seq uint32) (mailbox.Content, error) {
	if n := b.Mailbox.Status().Messages; b.m.opensAny && n > 0 && (seq < 1 || seq > n) {
		seq = 1
	}
	c, err := b.Mailbox.Open(seq)
	if b.m.content != nil && err == nil {
		c = b.m.content(c)
	}
	return c, err
}

// headless has no header.
type headless struct{ mailbox.Content }

func (headless) Header() ([]byte, error) { return nil, nil }

// tired has nothing left once its header was asked for.
type tired struct{ mailbox.Content }

func (c tired) Header() ([]byte, error) {
	h, err := c.Content.Header()
	io.Copy(io.Discard, c.Content)
	return h, err
}

// forgetful writes all of its text, whatever was read of it.
func forgetful(c mailbox.Content) mailbox.Content {
	text, _ := io.ReadAll(c)
	return &rewound{bytes.NewReader(text), c, text}
}

type rewound struct {
	io.Reader
	mailbox.Content
	text []byte
}

func (c *rewound) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func (c *rewound) WriteTo(w io.Writer) (int64, error) { return bytes.NewReader(c.text).WriteTo(w) }

func (b *mutantMailbox) Store(s mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	if b.m.storesNothing {
		return nil
	}
	if b.m.looksFirst {
		b.Mailbox.Ping()
	}
	return b.Mailbox.Store(s, op, f)
}

func (b *mutantMailbox) Expunge(s mailbox.Set) (int, error) {
	if b.m.doomed != nil {
		s = b.m.doomed(s)
	}
	return b.Mailbox.Expunge(s)
}

func (b *mutantMailbox) Ping() (bool, error) {
	if b.m.blind {
		return false, nil
	}
	return b.Mailbox.Ping()
}
