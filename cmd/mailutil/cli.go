package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/driver/stream"
	"mailutil/pkg/imap"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
	"mailutil/pkg/pop3"
	"mailutil/pkg/remote"
)

// A cli is one run of the program.
type cli struct {
	prog     string // as it was called
	in       io.Reader
	lines    *bufio.Reader // of in, for questions; nil before the first
	out, err io.Writer
	opt      options
	session  ops.Session
	mu       sync.Mutex     // of err: several mailboxes may be at work at once
	stream   *stream.Driver // of the session: what is written may be compressed
	lost     error          // the first result that could not be written
	atEnd    []func() error // lets go of what servers have of us
}

// options go with every command.
type options struct {
	debug, verbose, quiet, restrict bool
	json, noProgress, dryRun        bool
	user, config, dialect           string
	remote                          remoteOptions
	lockTimeout                     time.Duration
}

// say writes a line to standard output. A reader that has gone away, as head
// does, is no failure of ours; a full disk is.
func (c *cli) say(line string) {
	_, err := fmt.Fprintln(c.out, line)
	c.wrote(err)
}

// wrote takes the outcome of a write to standard output.
func (c *cli) wrote(err error) {
	if err != nil && !errors.Is(err, syscall.EPIPE) && c.lost == nil {
		c.lost = err
	}
}

// warn writes a line to standard error.
func (c *cli) warn(line string) {
	c.complain(errorRecord{Severity: "warning", Message: strings.TrimPrefix(line, "mailutil: ")}, line)
}

// complain writes to standard error: the record with --json, else the line.
func (c *cli) complain(r errorRecord, line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opt.json {
		encode(c.err, r) // there is no place left to say that this failed
		return
	}
	fmt.Fprintln(c.err, line)
}

// complainOf says an error about a mailbox.
func (c *cli) complainOf(line, name string, err error) {
	c.complain(newErrorRecord(strings.TrimPrefix(line, "mailutil: "), name, err), line)
}

// fail reports that op failed with the mailbox that the user called name, and
// helps one who meant a file of the current directory.
func (c *cli) fail(op operation, name string, err error) {
	if errors.Is(err, context.Canceled) {
		c.complainOf("mailutil: interrupted", name, context.Canceled)
	}
	for _, e := range split(err) {
		if errors.Is(e, context.Canceled) {
			continue
		}
		c.complainOf(c.sentence(op, name, e), name, e)
		if errors.Is(e, mailbox.ErrNotExist) {
			c.hint(name)
		}
	}
}

// sentence says an error; one of the system about a new mailbox with the path
// that it is about.
func (c *cli) sentence(op operation, name string, err error) string {
	if op == opCreate && errors.As(err, new(syscall.Errno)) {
		if n, unknown := c.session.Env.ResolveTarget(name); unknown == nil && n.Path != "" {
			return sentence(opNode, n.Path, err)
		}
	}
	return sentence(op, name, err)
}

func (c *cli) hint(name string) {
	if hint := c.session.Env.Hint(name); hint != "" {
		c.warn("mailutil: " + hint)
	}
}

// failed reports like fail and returns the error that ends the command.
func (c *cli) failed(op operation, name string, err error) error {
	c.fail(op, name, err)
	return said(exitFailed)
}

// notify shows what drivers say.
func (c *cli) notify(l mailbox.Level, text string) {
	if c.opt.quiet || l == mailbox.Info && !c.opt.verbose {
		return
	}
	severity := "warning"
	if l == mailbox.Info {
		severity = "info"
	}
	c.complain(errorRecord{Severity: severity, Message: text}, notice(l, text))
}

// newEnv finds the surroundings of the user who runs us; tests have their own.
var newEnv = mailbox.NewEnv

// start makes the session, once the command line is known to be good.
func (c *cli) start(cmd *cobra.Command, _ []string) error {
	find := newEnv
	if c.opt.user != "" {
		find = func() (*mailbox.Env, error) { return becomeUser(c.opt.user) }
	}
	env, err := find()
	if err != nil {
		return err
	}
	env.Notify = c.notify
	if err := c.configure(env, cmd.Flags().Changed("config")); err != nil {
		return err
	}
	env.Config.Restricted = env.Config.Restricted || c.opt.restrict
	env.LockTimeout = c.opt.lockTimeout
	if env.LockTimeout == 0 && (cmd.Flags().Changed("lock-timeout") || cmd.Name() == "info") {
		env.LockTimeout = -1 // do not wait
	}
	o, err := c.forRemote()
	if err != nil {
		return err
	}
	local, err := c.localDrivers(env)
	c.session = ops.Session{Env: env, Drivers: append(local, c.serverDrivers(env, o)...), DryRun: c.opt.dryRun}
	return err
}

// serverDrivers are those of mailboxes at servers. The delivery agents do not
// have them: they would carry TLS along.
func (c *cli) serverDrivers(env *mailbox.Env, o remote.Options) mailbox.Drivers {
	servers := imap.New(env, o)
	c.atEnd = append(c.atEnd, servers.Close)
	return mailbox.Drivers{servers, pop3.New(env, o)}
}

// localDrivers are the formats: those of all programs, and streams, which must
// be asked before phile takes any file. Of a dialect that was asked for is all
// mbox.
func (c *cli) localDrivers(env *mailbox.Env) (mailbox.Drivers, error) {
	env.Unpacker = stream.Unpacker
	ds := all.Drivers(env)
	c.stream = stream.New(env, c.in, c.out)
	if c.opt.dialect != "" {
		var ok bool
		if c.stream.Dialect, ok = stream.ParseDialect(c.opt.dialect); !ok {
			return nil, usageError("--mbox-dialect is one of " + strings.Join(stream.Dialects(), ", ") + ", not " + c.opt.dialect)
		}
		return slices.Insert(ds, 0, mailbox.Driver(c.stream)), nil
	}
	phile := slices.IndexFunc(ds, func(d mailbox.Driver) bool { return d.Name() == "phile" })
	return slices.Insert(ds, phile, mailbox.Driver(c.stream)), nil
}

// configure reads the configuration file, which must exist when it was asked
// for.
func (c *cli) configure(env *mailbox.Env, asked bool) error {
	if asked {
		if _, err := os.Stat(c.opt.config); err != nil {
			return err
		}
	}
	return env.Configure(c.opt.config)
}

// report says what is left to say about the outcome and returns the exit
// status.
func (c *cli) report(err error) int {
	status := exitStatus(err)
	if status != exitDone && !errors.As(err, new(said)) {
		c.reportOnce(err)
	}
	if c.lost != nil {
		c.complainOf("mailutil: standard output: "+c.lost.Error(), "", c.lost)
		status = max(status, exitFailed)
	}
	return status
}

func (c *cli) reportOnce(err error) {
	var wrong usageError
	var refused notAllowed
	switch {
	case errors.As(err, &wrong) && c.opt.json:
		c.complainOf(strings.TrimSpace(string(wrong)), "", err)
	case errors.As(err, &wrong):
		c.say(strings.TrimSuffix(string(wrong), "\n"))
	case errors.As(err, &refused):
		c.complainOf(refused.Error(), "", err)
	default:
		c.complainOf("mailutil: "+err.Error(), "", err)
	}
}
