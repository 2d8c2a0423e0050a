package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/exit"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// Options are what the command line says.
type Options struct {
	Version     string   // who we are, in the Received field: "tmail-2007f.22"
	Debug       bool     // say on standard error what goes to the log for debugging
	From        string   // envelope sender, for the Return-Path field,
	HasFrom     bool     // if there is one: it may be empty
	Format      string   // of an INBOX that must be made, "" for the default; tmail only
	Inbox       string   // mailbox to use in place of INBOX, "" for none; tmail only
	Flags       []string // flags and keywords of the message, \Seen and the like for the former; dmail only
	Precedence  string   // for the quota command
	DeliveredTo bool     // add a Delivered-To field
	Several     bool     // the recipient is one of several, whom the Received field does not name

	// Again are the arguments of a run for one of several recipients, the
	// recipient left out; tmail only.
	Again []string
}

// An Agent is one run of a delivery agent.
type Agent struct {
	Options
	Invoker string // login name of a caller without privileges, for the Received field

	log  *log
	in   io.Reader // the message
	proc *process
}

// New returns the agent whose name in the log is ident. From here on signals
// do what newProcess says.
func New(ident string, o Options, in io.Reader, stderr io.Writer) *Agent {
	debug.SetGCPercent(-1) // we are gone before there is anything to collect,
	debug.SetMemoryLimit(maxMemory)
	o.From = cutBrackets(o.From)
	return &Agent{Options: o, log: newLog(ident, o.Debug, stderr), in: in, proc: newProcess()}
}

// maxMemory is where memory is collected after all, whatever the size of the
// message.
const maxMemory = 32 << 20

// maxFolder is how long the part of a recipient behind "+" may be for tmail.
const maxFolder = 256

// daemon is the user, beside root, who may choose format and place of INBOX.
const daemon = "daemon"

// Tmail delivers to the users and folders that are named, with the rights of
// the users, and returns the worst status.
func (a *Agent) Tmail(recipients []string) exit.Status {
	caller := os.Getuid()
	shield()
	if err := a.check(recipients, caller); err != nil {
		return a.fail(err)
	}
	if len(recipients) > 1 {
		return a.each(recipients)
	}
	err := a.toUser(recipients[0])
	if err == nil && !a.Several {
		a.log.say(levelDebug, "all recipients delivered")
	} else if err != nil {
		a.log.say(levelDebug, "error in delivery")
	}
	return exit.Of(err)
}

// check refuses what a caller may not ask for.
func (a *Agent) check(recipients []string, caller int) error {
	if len(recipients) == 0 {
		return usage("no recipients")
	}
	if err := checkSender(a.From); err != nil {
		return err
	}
	if caller == 0 {
		return nil
	}
	name, err := loginName(caller)
	if err != nil {
		return err
	}
	if name == daemon {
		return nil
	}
	a.Invoker = name
	if a.Format != "" || a.Inbox != "" {
		return fmt.Errorf("user %s is not privileged to use -b or -I", name)
	}
	return nil
}

func usage(text string) error { return exit.With(exit.Usage, errors.New(text)) }

// cutBrackets takes the angle brackets from a sender: some mail systems give an
// empty one as "<>".
func cutBrackets(from string) string {
	if len(from) >= 2 && from[0] == '<' && from[len(from)-1] == '>' {
		return from[1 : len(from)-1]
	}
	return from
}

// checkSender refuses an address that would end the Return-Path field, or its
// brackets.
func checkSender(from string) error {
	for i := range len(from) {
		if from[i] < ' ' || from[i] == 0x7F || from[i] == '>' {
			return usage("bad sender: a control character or >")
		}
	}
	return nil
}

// loginName returns the name of a user id, or the number where it has none.
func loginName(uid int) (string, error) {
	u, err := mailbox.LookupID(uid)
	if _, unknown := errors.AsType[user.UnknownUserIdError](err); unknown {
		return strconv.Itoa(uid), nil
	}
	if err != nil {
		return "", err
	}
	return u.Username, nil
}

// toUser delivers to one user, whose identity is taken on. The message is read
// to its end also where nothing comes of it: mail systems take a pipe that
// breaks for a failure of another kind.
func (a *Agent) toUser(recipient string) error {
	err := a.asUser(recipient)
	if err != nil {
		a.fail(err)
		_, _ = fsx.Copy(io.Discard, a.in, nil)
	}
	return err
}

func (a *Agent) asUser(recipient string) error {
	name, folder, _ := strings.Cut(recipient, "+")
	if len(folder) > maxFolder {
		return errors.New("absurd folder name")
	}
	a.log.say(levelDebug, "delivering to %s+%s", name, nameOf(folder))
	u, err := lookUp(name)
	if err != nil {
		return err
	}
	uid, err := become(u)
	if err != nil {
		return err
	}
	env, err := mailbox.EnvOf(u)
	if err != nil {
		return err
	}
	return a.toFolder(env, &target{who: name, folder: folder, uid: uid, screen: "%*#/~", ownerMatters: true, arg: recipient})
}

// Dmail delivers to a folder of the user who runs us, or INBOX. The recipient
// is "[user][+folder]".
func (a *Agent) Dmail(recipient string) exit.Status {
	err := a.toSelf(recipient)
	if err != nil {
		a.fail(err)
		_, _ = fsx.Copy(io.Discard, a.in, nil)
	}
	return exit.Of(err)
}

func (a *Agent) toSelf(recipient string) error {
	uid := os.Getuid()
	own, err := loginName(uid)
	if err != nil {
		return err
	}
	if uid == 0 || own == daemon || setID() {
		return errors.New("dmail may not be invoked by root or daemon")
	}
	if err := checkSender(a.From); err != nil {
		return err
	}
	name, folder, _ := strings.Cut(recipient, "+")
	if name != "" && name != own {
		return errors.New("can't deliver to other user")
	}
	if recipient == "" {
		recipient = own
	}
	env, err := mailbox.NewEnv()
	if err != nil {
		return err
	}
	a.log.say(levelDebug, "delivering to %s+%s", own, nameOf(folder))
	return a.toFolder(env, &target{who: own, folder: folder, uid: uid, screen: "%*/~", arg: recipient})
}

// nameOf is what a folder is called.
func nameOf(folder string) string {
	if folder == "" || strings.EqualFold(folder, "INBOX") {
		return "INBOX"
	}
	return folder
}

// toFolder reads the message and puts it where t says, or into INBOX. We have
// the identity of the user.
func (a *Agent) toFolder(env *mailbox.Env, t *target) (err error) {
	env.Notify = func(l mailbox.Level, text string) {
		if l == mailbox.Warn {
			a.log.say(levelWarning, "%s", text)
		} else {
			a.log.say(levelDebug, "%s", text)
		}
	}
	if err := env.Configure(mailbox.ConfigFile); err != nil {
		return err
	}
	m, err := readMessage(a.in, a.fields(t.arg, env.Now()))
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := m.spool.Close(); closeErr != nil { // nothing that is kept
			a.log.say(levelNotice, "%v", closeErr)
		}
	}()
	if m.bareLF && t.ownerMatters {
		a.log.say(levelNotice, "tmail called with LF-only newlines")
	}
	a.proc.begin()
	if err := a.proc.ctx.Err(); err != nil {
		return err
	}
	fsx.Guard(t.guard)
	d := &delivery{Agent: a, target: t, env: env, drivers: all.Drivers(env), msg: m}
	return d.deliver(a.proc.ctx)
}

// fail says what went wrong and returns its status.
func (a *Agent) fail(err error) exit.Status {
	for _, line := range strings.Split(err.Error(), "\n") { // errors that were joined
		if line != errSaid.Error() {
			a.log.say(levelError, "%s", line)
		}
	}
	return exit.Of(err)
}

// lockWait is how long to wait for the locks of a mailbox. Mail systems have
// limits of their own, by which they kill us.
const lockWait = 5 * time.Minute

// A delivery is one message on its way into one of the mailboxes of a user.
type delivery struct {
	*Agent
	*target
	env     *mailbox.Env
	drivers mailbox.Drivers
	msg     *message
	warned  string // path of the mailbox that was warned of last
}

func (d *delivery) deliver(ctx context.Context) error {
	d.env.LockTimeout = lockWait
	if nameOf(d.folder) == "INBOX" {
		return d.inbox(ctx)
	}
	err := d.named(ctx)
	if err == nil || mustNotRetry(err) || ctx.Err() != nil {
		return err
	}
	if !errors.Is(err, errSaid) {
		d.fail(err)
	}
	d.log.say(levelWarning, "invalid mailbox name %s+%s", d.who, d.folder)
	d.log.say(levelDebug, "retrying delivery to INBOX")
	return d.inbox(ctx)
}

// errSaid is a failure that has been reported.
var errSaid = errors.New("reported already")
