// Mailutil checks, makes, copies and prunes mailboxes, in place of the program
// of that name of the UW IMAP toolkit. See man/mailutil.1.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker: see the Makefile.
var version = "devel"

func main() {
	os.Exit(runWithSignals(os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// runWithSignals lets the first interrupt end the work in an orderly way, and
// the second end the process.
func runWithSignals(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	defer stop()
	context.AfterFunc(ctx, stop)

	// A closed pipe and a limit of size are errors of the write, and the
	// request of another program for a mailbox (SIGUSR2) is for the session
	// that has it: none of them may end us in the middle of our work.
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGPIPE, syscall.SIGXFSZ, syscall.SIGUSR2)
	return run(ctx, args, stdin, stdout, stderr)
}

// endings are the signals that end the work. What nohup or a shell without job
// control has had ignored stays so.
func endings() []os.Signal {
	signals := []os.Signal{syscall.SIGTERM}
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	return signals
}

// run does what the arguments say, the first of which is the name of the
// program, and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{prog: args[0], in: stdin, out: stdout, err: stderr, opt: options{json: asksJSON(args[1:])}}
	root := c.root()
	if isCompletion(args[1:]) {
		return c.report(c.complete(ctx, root, args[1:]))
	}
	line, err := parseLine(args[1:], allFlags(root))
	if err == nil {
		root.SetArgs(line.cobra())
		err = c.execute(ctx, root, line)
	}
	return c.report(err)
}
