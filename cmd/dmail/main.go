// Dmail delivers a message to a mailbox of the user who runs it, for procmail,
// maildrop and the like. See man/dmail.1; what it defends against is in package
// deliver.
package main

import (
	"errors"
	"os"
	"strings"

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

func main() { os.Exit(program().Run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func program() deliver.Program {
	return deliver.Program{Name: "dmail", Version: version, Help: help, Parse: parse, Deliver: dmail}
}

// dmail delivers to the recipient, without any to our INBOX.
func dmail(a *deliver.Agent, args []string) exit.Status {
	return a.Dmail(strings.Join(args, ""))
}

// parse reads the command line.
func parse(l *deliver.Line, args []string) error {
	l.Version = protocol
	sender := l.Sender("")
	err := l.Parse(args, map[string]deliver.Switch{
		"-f": sender,
		"-r": sender,
		"-k": {Valued: true, Group: "-k", Take: func(keywords string) error {
			l.Flags = append(l.Flags, strings.Fields(keywords)...)
			return nil
		}},
		"-s": {Take: func(string) error {
			l.Flags = append(l.Flags, `\Seen`)
			return nil
		}},
	})
	if err == nil && len(l.Args) > 1 {
		err = errors.New("too many recipients")
	}
	return err
}
