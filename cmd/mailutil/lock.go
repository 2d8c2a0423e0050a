package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"

	"mailutil/pkg/ops"
)

func (c *cli) lockCommand() *cobra.Command {
	short := "Tell who has locks on a mailbox (status), run a command while nobody else can use it (run), or remove a lock file that was left behind (break)."
	return c.command("lock", short, 2, math.MaxInt, func(ctx context.Context, args []string) error {
		verb, name, rest := args[0], args[1], args[2:]
		switch {
		case verb == "status" && len(rest) == 0:
			return c.lockStatus(name)
		case verb == "break" && len(rest) == 0:
			return c.lockBreak(name)
		case verb == "run" && len(rest) > 0:
			return c.lockRun(ctx, name, rest)
		}
		return usageError(usageOf(c.prog, "lock"))
	})
}

// lockStatus prints a lock a line, nothing where there is none.
func (c *cli) lockStatus(name string) error {
	all, err := c.session.Locks(name)
	if err != nil {
		return c.failed(opLock, name, err)
	}
	for _, l := range all {
		if c.opt.json {
			c.emit(newLockRecord(name, l))
			continue
		}
		line := l.String()
		if l.File != "" {
			line += ": " + l.File
		}
		c.say(printable(line))
	}
	return nil
}

// A lockRecord is a lock that somebody has.
type lockRecord struct {
	Mailbox string `json:"mailbox"` // as the user wrote it
	Kind    string `json:"kind"`    // dot, fcntl, flock or session
	File    string `json:"file,omitempty"`
	PID     int    `json:"pid,omitempty"`
	Command string `json:"command,omitempty"`
	Seconds int64  `json:"seconds,omitempty"` // for how long
}

func (lockRecord) recordType() string { return typeLock }

func newLockRecord(name string, l ops.Lock) lockRecord {
	return lockRecord{name, l.Kind, l.File, l.PID, l.Command, int64(l.Since.Seconds())}
}

func (c *cli) lockBreak(name string) error {
	reason, err := c.session.BreakLock(name)
	if err != nil {
		return c.failed(opLock, name, err)
	}
	c.warn(fmt.Sprintf("mailutil: lock of %s broken: %s", name, reason))
	return nil
}

// lockRun runs a command under the locks and ends with its status. The command
// finds the file of the mailbox in $MAILBOX.
func (c *cli) lockRun(ctx context.Context, name string, args []string) error {
	status := 0
	err := c.session.WithLocks(ctx, name, func(path string) error {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, c.out, c.err
		cmd.Env = append(os.Environ(), "MAILBOX="+path)
		stop := context.AfterFunc(ctx, func() {
			if cmd.Process != nil {
				_ = cmd.Process.Signal(syscall.SIGTERM) // gone already, perhaps
			}
		})
		defer stop()
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return err
		}
		status = exit.ExitCode()
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			status = 128 + int(ws.Signal())
		}
		return nil
	})
	if err != nil {
		return c.failed(opLock, name, err)
	}
	if status != 0 {
		return said(status)
	}
	return nil
}
