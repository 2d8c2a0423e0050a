package deliver

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// named puts the message into the folder of the recipient, which must exist.
func (d *delivery) named(ctx context.Context) error {
	if !d.allowed(d.folder) {
		return errSaid
	}
	n, err := d.env.Resolve(d.folder)
	if err != nil {
		return errSaid // the caller says all there is to say
	}
	where := n.Path
	if where != "" {
		if err := d.verify(where); err != nil {
			if errors.Is(err, errMissing) {
				return d.unsafeAt(where, err)
			}
			return err
		}
	}
	drv, err := d.drivers.Find(n)
	if err != nil {
		return err
	}
	if where == "" {
		if where, err = d.place(drv, n); err != nil {
			return err
		}
	}
	return d.append(ctx, drv, n, spot{path: where, said: d.folder, driver: "default"})
}

// allowed reports whether a name that comes from a stranger may be that of a
// folder.
func (d *delivery) allowed(folder string) bool {
	return !strings.ContainsRune(d.screen, rune(folder[0])) && folder[0] != '{' &&
		!strings.Contains(folder, "..") && !strings.Contains(folder, "//") && !strings.Contains(folder, "/~")
}

// inbox puts the message into INBOX: the mailbox of -I, the one that there is,
// or a new one.
func (d *delivery) inbox(ctx context.Context) error {
	if d.Inbox != "" && !strings.EqualFold(d.Inbox, "INBOX") {
		done, err := d.other(ctx)
		if done {
			return err
		}
	}
	return d.inboxIn(ctx, d.Format)
}

// inboxIn puts the message into INBOX, which is made in a format, "" for the
// default, where there is none. A mailbox that is not in any format may be in
// the making: procmail writes one octet first. Then its end is awaited.
func (d *delivery) inboxIn(ctx context.Context, format string) error {
	start := time.Now()
	for try := 0; ; try++ {
		err := d.tryInbox(ctx, format)
		if !errors.Is(err, errFormat) {
			return err
		}
		if try > 0 && (time.Since(start) > lockWait || !d.inUse()) {
			return d.failedAt(d.env.Spool, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(inUsePause):
		}
	}
}

// inUsePause is how long to wait before looking again at an INBOX that somebody
// is writing.
const inUsePause = 20 * time.Millisecond

// inUse reports whether anybody has a lock on the system INBOX.
func (d *delivery) inUse() bool {
	return lock.Locked(d.env.Spool, lock.Options{Dir: d.env.LockDir})
}

func (d *delivery) tryInbox(ctx context.Context, format string) error {
	n := mailbox.Name{Text: "INBOX", Inbox: true}
	drv, err := d.drivers.Find(n)
	if err != nil {
		if unsafe := d.verify(d.env.Spool); errors.Is(unsafe, errSaid) { // which is why nobody can tell
			return unsafe
		}
		return err
	}
	where, err := d.place(drv, n)
	if err != nil {
		return err
	}
	if _, _, err := look(where); errors.Is(err, errMissing) {
		return d.newInbox(ctx, n, format)
	}
	if err := d.verify(where); err != nil {
		return err
	}
	return d.append(ctx, drv, n, spot{path: where, said: "INBOX", driver: d.formatOf(drv)})
}

// newInbox makes an INBOX and puts the message into it.
func (d *delivery) newInbox(ctx context.Context, n mailbox.Name, format string) error {
	if format == "" {
		format = d.env.Config.NewFormat
	}
	drv := d.drivers.Default(format)
	if drv == nil {
		return fmt.Errorf("unknown format INBOX: %s", format)
	}
	n.Format = drv.Name()
	where, err := d.place(drv, n)
	if err != nil {
		return err
	}
	said := "#driver." + drv.Name() + "/INBOX"
	d.log.say(levelDebug, "attempting to create mailbox %s path %s", said, where)
	if err := d.create(ctx, drv, n); err != nil {
		return fmt.Errorf("can't create INBOX: %w", err)
	}
	if _, _, err := look(where); where != "" && !errors.Is(err, errMissing) {
		d.log.say(levelDebug, "created %s", where)
		if err := d.verify(where); err != nil {
			return err
		}
	}
	return d.append(ctx, drv, n, spot{path: where, said: said, driver: drv.Name()})
}

// create makes an empty mailbox. One that came into being meanwhile, and an
// INBOX that comes into being with its first message, are as good.
func (d *delivery) create(ctx context.Context, drv mailbox.Driver, n mailbox.Name) error {
	c, ok := drv.(mailbox.Creator)
	if !ok {
		return fmt.Errorf("%s: %w", drv.Name(), mailbox.ErrUnsupported)
	}
	err := c.Create(ctx, n)
	if errors.Is(err, mailbox.ErrExist) {
		return nil
	}
	return err
}

// other puts the message into the mailbox of -I, which is made where there is
// none. done is false where INBOX is to be taken after all.
func (d *delivery) other(ctx context.Context) (done bool, err error) {
	n, err := d.env.ResolveTarget(d.Inbox)
	switch {
	case errors.Is(err, mailbox.ErrUnknownDriver), errors.Is(err, mailbox.ErrDriverSyntax):
		name, _, _ := strings.Cut(d.Inbox, "/")
		d.log.say(levelWarning, "Unable to resolve driver in %s, -I ignored", name)
		return false, nil
	case n.Inbox && err == nil, n.Format != "" && errors.Is(err, mailbox.ErrName):
		return true, d.inboxIn(ctx, n.Format)
	case err != nil:
		d.log.say(levelWarning, "Unable to resolve %s, -I ignored", d.Inbox)
		return false, nil
	}
	err = d.intoOther(ctx, n)
	if err == nil || mustNotRetry(err) || ctx.Err() != nil {
		return true, err
	}
	if errors.Is(err, mailbox.ErrNotExist) {
		d.log.say(levelWarning, "Unable to resolve %s, -I ignored", d.Inbox)
	} else if !errors.Is(err, errSaid) {
		d.fail(err)
	}
	return false, nil
}

// implied are the formats that names of INBOX have by themselves.
var implied = map[string]string{"mail.txt": "tenex", "INBOX.MTX": "mtx", "mbox": "unix"}

func (d *delivery) intoOther(ctx context.Context, n mailbox.Name) error {
	format := n.Format
	if format == "" {
		format = implied[d.Inbox]
	}
	drv := d.drivers.Named(format)
	if format != "" && drv == nil {
		return fmt.Errorf("%w: %s", mailbox.ErrUnsupported, format)
	}
	if n.Path == "" { // of a namespace
		return d.intoSpace(ctx, n)
	}
	_, _, err := look(n.Path)
	if errors.Is(err, errMissing) {
		if drv == nil {
			drv = d.drivers.Default(d.env.Config.NewFormat)
		}
		if drv == nil {
			return fmt.Errorf("unknown format %s", d.env.Config.NewFormat)
		}
		err = d.create(ctx, drv, n)
	} else if drv == nil && err == nil {
		drv, err = d.drivers.Find(n)
	}
	if err != nil {
		return err
	}
	if err := d.verify(n.Path); err != nil {
		return err
	}
	return d.append(ctx, drv, n, spot{path: n.Path, said: d.Inbox, driver: d.formatOf(drv)})
}

// intoSpace puts the message into a mailbox of a namespace, which must exist.
func (d *delivery) intoSpace(ctx context.Context, n mailbox.Name) error {
	drv, err := d.drivers.Find(n)
	if err != nil {
		return err
	}
	where, err := d.place(drv, n)
	if err != nil {
		return err
	}
	if err := d.verify(where); err != nil {
		return err
	}
	return d.append(ctx, drv, n, spot{path: where, said: d.Inbox, driver: d.formatOf(drv)})
}

// place is where a driver keeps a mailbox.
func (d *delivery) place(drv mailbox.Driver, n mailbox.Name) (string, error) {
	if p, ok := drv.(mailbox.Placer); ok {
		return p.Place(n)
	}
	if n.Path != "" {
		return n.Path, nil
	}
	return path.Join(d.env.Home, "INBOX"), nil
}

// formatOf is the format that mail goes into: an empty file has none yet.
func (d *delivery) formatOf(drv mailbox.Driver) string {
	if _, ok := drv.(mailbox.Creator); ok && drv.Name() == "dummy" {
		if def := d.drivers.Default(d.env.Config.EmptyFormat); def != nil {
			return def.Name()
		}
	}
	return drv.Name()
}

// CheckFormat returns an error unless INBOX can be made in a format of that
// name, in the words of the original.
func CheckFormat(name string) error {
	if !slices.Contains(mailbox.Formats, name) {
		return errors.New("unknown format to -b")
	}
	drv := all.Drivers(&mailbox.Env{}).Named(name)
	_, takes := drv.(mailbox.Appender)
	if !takes || name == "dummy" || name == "phile" { // no formats that a file can have
		return errors.New("invalid format to -b")
	}
	return nil
}
