package deliver

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mailutil/pkg/exit"
	"mailutil/pkg/internal/spawn"
	"mailutil/pkg/mailbox"
)

// A spot is a mailbox as the log calls it.
type spot struct {
	path   string
	said   string // its name
	driver string
}

// errStored wraps what went wrong after a message was perhaps stored, so that
// it must not be stored elsewhere.
var errStored = errors.New("the message may be stored already")

// mustNotRetry reports whether the message must not be put into another
// mailbox.
func mustNotRetry(err error) bool {
	return errors.Is(err, errStored) || exit.Of(err) == exit.CantCreate
}

// append adds the message to a mailbox. It is durable when the error is nil.
func (d *delivery) append(ctx context.Context, drv mailbox.Driver, n mailbox.Name, s spot) error {
	if err := d.askQuota(ctx, s); err != nil {
		return err
	}
	d.log.say(levelDebug, "%s appending to %s (%s %s)", s.driver, s.said, kindName(s.path), s.path)
	if err := d.store(ctx, drv, n); err != nil {
		if n.Inbox && errors.Is(err, mailbox.ErrFormat) {
			return fmt.Errorf("%w%w", errFormat, err) // perhaps not for long
		}
		return d.failedAt(s.path, err)
	}
	if s.path == "" {
		s.path, _ = d.place(drv, n)
	}
	d.log.say(levelInfo, "delivered to %s", s.path)
	d.doubt(s.path)
	return nil
}

// errFormat is no text of its own: it marks that INBOX has no format.
var errFormat = errors.New("")

// failedAt reports that a mailbox has not taken the message.
func (d *delivery) failedAt(path string, err error) error {
	d.fail(err)
	d.log.say(levelError, "message delivery failed to %s", path)
	if errors.Is(err, errStored) {
		return errors.Join(errSaid, errStored)
	}
	return errSaid
}

func kindName(path string) string {
	_, st, err := look(path)
	if err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return "directory"
	}
	return "file"
}

// store hands the message to the driver.
func (d *delivery) store(ctx context.Context, drv mailbox.Driver, n mailbox.Name) (err error) {
	a, ok := drv.(mailbox.Appender)
	if !ok {
		return mailbox.Sayf(mailbox.ErrFormat, "Can't append - not in valid mailbox format: %s", n.Path)
	}
	flags, keywords := d.flags()
	o := mailbox.AppendOptions{Keywords: keywords}
	del, err := a.Append(ctx, n, o)
	if n.Inbox && errors.Is(err, mailbox.ErrNotExist) { // it comes into being with its first message
		o.New = true
		del, err = a.Append(ctx, n, o)
	}
	if err != nil {
		return err
	}
	altered, err := del.Add(mailbox.Item{
		Message: mailbox.Message{Flags: flags, Date: mailbox.DateOf(d.env.Now()), Size: d.msg.spool.Size()},
		Sender:  d.sender(), Text: d.msg.open(),
	})
	if err != nil {
		return errors.Join(err, del.Abort())
	}
	if _, err := del.Commit(); err != nil {
		return d.afterCommit(err, del.Abort())
	}
	if err := del.Abort(); err != nil { // it is stored: see above
		d.log.say(levelNotice, "%v", err)
	}
	if altered.Keywords > 0 {
		d.lostKeywords(keywords, altered.Keywords)
	}
	return nil
}

// sender is the envelope sender for formats that keep one: by the switch, by
// the From_ line of the message, or else, as in the original, the user's own.
func (d *delivery) sender() string {
	switch {
	case d.HasFrom:
		return d.From
	case d.msg.sender != "":
		return d.msg.sender
	}
	return d.who + "@" + d.env.Host
}

// afterCommit marks an error of Commit that leaves a change to be finished: by
// it the message will appear, so it must not go elsewhere as well.
func (d *delivery) afterCommit(err, abort error) error {
	if errors.Is(err, mailbox.ErrTemporary) && strings.Contains(err.Error(), "interrupted change") {
		err = fmt.Errorf("%w: %w", errStored, err)
	}
	return errors.Join(err, abort)
}

// flags parses the flags of the command line. Those that no mailbox can have
// are reported and left out.
func (d *delivery) flags() (f mailbox.Flags, keywords []string) {
	for _, name := range d.Flags {
		system := systemFlag(name)
		switch {
		case system != 0:
			f.System |= system
		case !mailbox.ValidKeyword(name) || len(keywords) == mailbox.MaxKeywords:
			d.log.say(levelWarning, "Unknown flag: %s", name)
		default:
			f.Keywords |= 1 << len(keywords)
			keywords = append(keywords, name)
		}
	}
	return f, keywords
}

func systemFlag(name string) mailbox.SystemFlags {
	for i, s := range mailbox.SystemNames {
		if strings.EqualFold(name, `\`+s) && mailbox.SystemFlags(1<<i) != mailbox.Recent {
			return 1 << i
		}
	}
	return 0
}

// lostKeywords says which keywords the mailbox could not hold, as far as that
// is known.
func (d *delivery) lostKeywords(keywords []string, n int) {
	if n < len(keywords) {
		d.log.say(levelWarning, "%d of the flags %s cannot be had here", n, strings.Join(keywords, " "))
		return
	}
	for _, k := range keywords {
		d.log.say(levelWarning, "Unknown flag: %s", k)
	}
}

// doubt looks at the mailbox once more. Whatever it finds is for the log only:
// the message is stored, and a failure would store it twice.
func (d *delivery) doubt(path string) {
	if !d.log.debug {
		return
	}
	if d.ownerMatters {
		d.log.say(levelDebug, "Verifying safe delivery to %s by UID %d", path, d.uid)
	} else {
		d.log.say(levelDebug, "Verifying safe delivery to %s", path)
	}
	dir, file, err := look(path)
	if err == nil {
		err = d.unsafe(dir, file)
	}
	if err != nil {
		d.log.say(levelNotice, "%s is odd after the delivery: %v", path, err)
	}
}

// quotaTime is how long the quota command may take.
const quotaTime = 30 * time.Second

// askQuota runs the command of the configuration, if there is one, with the
// rights of the user:
//
//	COMMAND USER PATH OCTETS SENDER PRECEDENCE
//
// Status 0 lets the message in, 73 refuses it for good, and anything else,
// running for longer than quotaTime included, is a temporary failure.
func (d *delivery) askQuota(ctx context.Context, s spot) error {
	command := d.env.Config.QuotaCommand
	if command == "" {
		return nil
	}
	cmd := spawn.Command{
		Path:  command,
		Args:  []string{d.who, s.path, strconv.FormatInt(d.msg.spool.Size(), 10), d.From, d.Precedence},
		Env:   []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "HOME=" + d.env.Home},
		Dir:   "/",
		Limit: quotaTime,
	}
	out, end, err := cmd.Output(ctx, true)
	if err != nil {
		return fmt.Errorf("quota command: %w", err)
	}
	if end.Success() {
		return nil
	}
	why := strings.TrimSpace(string(out))
	if why == "" {
		why = end.String()
	}
	err = fmt.Errorf("quota command: %s", why)
	if end.ExitCode() == int(exit.CantCreate) {
		return exit.With(exit.CantCreate, err)
	}
	return err
}
