// Tmail delivers a message to local users, for a mail system. See man/tmail.1;
// what it defends against is in package deliver.
package main

import (
	"errors"
	"os"
	"slices"

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

func main() { os.Exit(program().Run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func program() deliver.Program {
	return deliver.Program{
		Name: "tmail", Version: version, Help: help,
		Parse: parse, Deliver: (*deliver.Agent).Tmail, Fixed: []exit.Status{exit.CantCreate},
	}
}

// parse reads the command line.
func parse(l *deliver.Line, args []string) error {
	l.Version = protocol
	if len(args) == 0 {
		return errors.New(shortUsage)
	}
	sender := l.Sender("-f or -r")
	err := l.Parse(args, map[string]deliver.Switch{
		"-f": sender,
		"-r": sender,
		"-b": {Valued: true, Group: "inbox", Twice: "-b or -I", Take: func(format string) error {
			l.Format = format
			return deliver.CheckFormat(format)
		}},
		"-I": {Valued: true, Group: "inbox", Twice: "-b or -I", Take: func(inbox string) error {
			l.Inbox = inbox
			return nil
		}},
		"-s": {Valued: true, Take: func(string) error { return nil }}, // long out of use
		"--several": {Take: func(string) error { // by which we call ourselves
			l.Several = true
			return nil
		}},
	})
	l.Again = append([]string{"--several"}, switches(args, l.Args)...)
	return err
}

// switches are the arguments before the recipients, without "--".
func switches(all, recipients []string) []string {
	s := all[:len(all)-len(recipients)]
	if len(s) > 0 && s[len(s)-1] == "--" {
		s = s[:len(s)-1]
	}
	return slices.Clone(s)
}
