package mailboxtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"mailutil/pkg/mailbox"
)

// Memory is a driver whose mailboxes are values. It keeps every octet, date,
// flag and sender as it was given. It is safe for concurrent use; its
// mailboxes and deliveries are not.
type Memory struct {
	format string
	env    *mailbox.Env
	*disk
}

// A disk is where mailboxes are, of one format or more.
type disk struct {
	mu    sync.Mutex
	boxes map[string]*box // by key
}

var (
	_ mailbox.Driver   = (*Memory)(nil)
	_ mailbox.Creator  = (*Memory)(nil)
	_ mailbox.Deleter  = (*Memory)(nil)
	_ mailbox.Renamer  = (*Memory)(nil)
	_ mailbox.Appender = (*Memory)(nil)
)

// NewMemory returns a driver without mailboxes. The format is what Name
// returns: "unix" makes it stand in for the driver of that name.
func NewMemory(env *mailbox.Env, format string) *Memory {
	return &Memory{format, env, &disk{boxes: map[string]*box{}}}
}

// Beside returns a driver of another format on the same disk: the mailboxes of
// the one are foreign files to the other.
func (d *Memory) Beside(format string) *Memory { return &Memory{format, d.env, d.disk} }

// A box is what is durable of one mailbox.
type box struct {
	format   string
	validity uint32
	next     uint32 // UID of the next message
	keywords []string
	letters  []*letter
	users    int // sessions and deliveries
}

// A letter is one message.
type letter struct {
	msg    mailbox.Message // Seq is not used
	sender string
	text   string
	old    bool // a read-write session has seen it: no longer Recent
	gone   bool // expunged
}

// key is where n is in the map.
func key(n mailbox.Name) string {
	if n.Inbox && n.Path == "" {
		return "INBOX"
	}
	return n.Path
}

// Name returns the format's name.
func (d *Memory) Name() string { return d.format }

// Probe reports whether n was created in this format.
func (d *Memory) Probe(n mailbox.Name) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.boxes[key(n)]
	return b != nil && b.format == d.format, nil
}

// find returns a mailbox. d.mu is held.
func (d *Memory) find(op string, n mailbox.Name) (*box, error) {
	b := d.boxes[key(n)]
	switch {
	case b == nil:
		return nil, d.fail(op, n, mailbox.ErrNotExist)
	case b.format != d.format:
		return nil, d.fail(op, n, mailbox.ErrFormat)
	}
	return b, nil
}

func (d *Memory) fail(op string, n mailbox.Name, err error) error {
	return &mailbox.Error{Op: op, Driver: d.format, Name: n.Text, Off: -1, Err: err}
}

// newBox returns an empty mailbox.
func (d *Memory) newBox(validity uint32) *box {
	if validity == 0 {
		validity = uint32(d.env.Now().Unix())
	}
	return &box{format: d.format, validity: validity, next: 1, keywords: slices.Clone(d.env.Config.Keywords)}
}

// Create makes an empty mailbox.
func (d *Memory) Create(ctx context.Context, n mailbox.Name) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.boxes[key(n)] != nil {
		return d.fail("create", n, mailbox.ErrExist)
	}
	d.boxes[key(n)] = d.newBox(0)
	return nil
}

// Delete removes a mailbox that nobody uses.
func (d *Memory) Delete(ctx context.Context, n mailbox.Name) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.idle(ctx, "delete", n); err != nil {
		return err
	}
	delete(d.boxes, key(n))
	return nil
}

// Rename gives a mailbox that nobody uses another name.
func (d *Memory) Rename(ctx context.Context, from, to mailbox.Name) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, err := d.idle(ctx, "rename", from)
	if err != nil {
		return err
	}
	if d.boxes[key(to)] != nil {
		return d.fail("rename", to, mailbox.ErrExist)
	}
	delete(d.boxes, key(from))
	d.boxes[key(to)] = b
	return nil
}

// idle returns a mailbox that nobody uses. d.mu is held.
func (d *Memory) idle(ctx context.Context, op string, n mailbox.Name) (*box, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b, err := d.find(op, n)
	if err == nil && b.users > 0 {
		err = d.fail(op, n, mailbox.ErrBusy)
	}
	return b, err
}

// Open opens a mailbox. Any number of sessions may be open at once.
func (d *Memory) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	b, err := d.find("open", n)
	if err != nil {
		return nil, err
	}
	b.users++
	s := &session{d: d, name: n, box: b, readOnly: m == mailbox.ReadOnly}
	s.look()
	return s, nil
}

// keyword returns the bit of a keyword, which is created if there is room.
func (b *box) keyword(name string) (bit int, ok bool) {
	for i, k := range b.keywords {
		if strings.EqualFold(k, name) {
			return i, true
		}
	}
	if len(b.keywords) == mailbox.MaxKeywords || !mailbox.ValidKeyword(name) {
		return 0, false
	}
	b.keywords = append(b.keywords, name)
	return len(b.keywords) - 1, true
}

// String lists the mailboxes and how many messages each has, for failures of
// tests.
func (d *Memory) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for k, b := range d.boxes {
		out = append(out, fmt.Sprintf("%s: %d messages, %s", k, len(b.letters), b.format))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}
