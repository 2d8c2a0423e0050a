// Tmail delivers a message to local users, for a mail system. See man/tmail.1;
// what it defends against is in package deliver.
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
const protocol = "tmail-2007f.22"

const shortUsage = "usage: tmail [-D] user[+folder]"

const help = `usage: tmail [-D] [-f|-r SENDER] [-b FORMAT | -I INBOX] [-p NUMBER]
             [--delivered-to] [--compat] user[+folder] ...

Deliver the message on standard input to users of this system.

  -D              say on standard error what is done
  -f, -r SENDER   add a Return-Path field
  -b FORMAT       format of an INBOX that must be made (root and daemon only)
  -I INBOX        deliver to this mailbox instead (root and daemon only)
  -p NUMBER       precedence, for the quota command
  --delivered-to  add a Delivered-To field
  --compat        exit with 75 for every failure but a refusal by quota, as the
                  original does

Exit status: 0 delivered, 64 wrong usage, 67 no such user, 73 refused by the
quota command, 75 anything else: try again. The rest is in tmail(1).`

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 { // execve(2) allows it
		args = []string{"tmail"}
	}
	l, err := parse(args[1:])
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprintln(stdout, help)
		return 0
	case errors.Is(err, errVersion):
		fmt.Fprintln(stdout, "tmail", version)
		return 0
	case err != nil:
		fmt.Fprintln(stderr, err)
		return l.status(exit.Usage)
	}
	return l.status(deliver.New("tmail", l.options, stdin, stderr).Tmail(l.recipients))
}
