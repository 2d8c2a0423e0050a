// Dmail delivers a message to a mailbox of the user who runs it, for procmail,
// maildrop and the like. See man/dmail.1; what it defends against is in package
// deliver.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"mailutil/pkg/deliver"
	"mailutil/pkg/exit"
)

// version is set by the linker: see the Makefile.
var version = "devel"

// protocol is what the Received field says, as the original does.
const protocol = "dmail-2007f.18"

const help = `usage: dmail [-D] [-f|-r SENDER] [-s] [-k KEYWORDS] [-p NUMBER]
             [--delivered-to] [--compat] [user][+folder]

Deliver the message on standard input to your INBOX, or to a mailbox of yours.

  -D              say on standard error what is done
  -f, -r SENDER   add a Return-Path field
  -s              mark the message as seen
  -k KEYWORDS     give the message these keywords, separated by blanks
  -p NUMBER       precedence, for the quota command
  --delivered-to  add a Delivered-To field
  --compat        exit with 75 for every failure, as the original does

Exit status: 0 delivered, 64 wrong usage, 73 refused by the quota command, 75
anything else: try again. The rest is in dmail(1).`

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 { // execve(2) allows it
		args = []string{"dmail"}
	}
	l, err := parse(args[1:])
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprintln(stdout, help)
		return 0
	case errors.Is(err, errVersion):
		fmt.Fprintln(stdout, "dmail", version)
		return 0
	case err != nil:
		fmt.Fprintln(stderr, err)
		return l.status(exit.Usage)
	}
	return l.status(deliver.New("dmail", l.options, stdin, stderr).Dmail(l.recipient))
}
