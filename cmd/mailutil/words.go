package main

import (
	"fmt"
	"strings"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// This file has every sentence that the original prints and scripts may match,
// letter by letter, its plurals included.

// What is wrong with a command line; standard output.
const exclusive = "-kwcopy and -ignore are mutually exclusive"

func unknownSwitch(word string) string   { return "unknown switch: " + word }
func unknownArgument(word string) string { return "unknown argument: " + word }
func unknownMerge(mode string) string    { return "unknown merge option: " + mode }
func unknownUser(name string) string     { return "unknown user id: " + name }

// standardSwitches are explained with every command.
const standardSwitches = "Standard switches valid with any command:\n" +
	"\t[-d[ebug]] [-v[erbose]] [-u[ser] userid] [--]\n"

// copySwitches come with the commands that copy.
const copySwitches = "[-rw[copy]] [-kw[copy]] [-ig[nore]] SOURCE DESTINATION"

// syntaxes is how each command is written, in the order of the full text, and
// what it does. Commands that do much the same share an explanation.
var syntaxes = []struct{ command, syntax, does string }{
	{"check", "check [MAILBOX]", "report number of messages and new messages"},
	{"create", "create MAILBOX", "create new mailbox"},
	{"delete", "delete MAILBOX", "delete existing mailbox"},
	{"rename", "rename SOURCE DESTINATION", "rename mailbox to a new name"},
	{"copy", "copy " + copySwitches, ""},
	{"move", "move " + copySwitches, "create new mailbox and copy/move messages"},
	{"append", "append " + copySwitches, ""},
	{"appenddelete", "appenddelete " + copySwitches, "copy/move messages to existing mailbox"},
	{"prune", "prune mailbox SEARCH_CRITERIA", "prune mailbox of messages matching criteria"},
	{
		"transfer", "transfer [-rw[copy]] [-kw[copy]] [-ig[nore]] [-m[erge] m] SOURCE DEST",
		"copy source hierarchy to destination\n   ;;  -merge modes are prompt, append, or suffix=xxxx",
	},
	{"split", "split --by year | month | SIZE [--resume] SOURCE DEST", "copy a mailbox into several"},
	{"convert", "convert --to FORMAT [--recursive] [--jobs N] [--no-keep-original] [--from-file LIST] MAILBOX...", "change the format of mailboxes in place"},
	{"dedup", "dedup [--by body | message-id] [--to MAILBOX] MAILBOX...", "expunge messages that are there more than once"},
	{"list", "list [--fields NAMES] [-0] MAILBOX [CRITERIA]", "list messages, one a line"},
	{"cat", "cat [--headers] [--crlf] [--mbox | --eml DIR] MAILBOX [CRITERIA]", "print messages as they are"},
	{"search", "search [--fields NAMES] [-0] [--raw OCTETS] [--count] [-l] MAILBOX... CRITERIA", "find messages in mailboxes"},
	{"info", "info MAILBOX...", "tell about mailboxes"},
	{"lock", "lock status | break MAILBOX, lock run MAILBOX -- COMMAND...", "tell about locks, remove a left one, run a command under them"},
	{"repair", "repair [--dry-run] [--format FORMAT] [--keep-original DIR] [--undelete-expunged] MAILBOX...", "make damaged mailboxes sound"},
	{"serve", "serve [--imap ADDRESS] [--pop3 ADDRESS] [--stdio PROTOCOL] [--root DIR | MAILBOX...]", "show mailboxes to mail clients"},
}

// syntaxOf returns the syntax of a command, "" for one that is not known.
func syntaxOf(command string) string {
	for _, s := range syntaxes {
		if s.command == command {
			return s.syntax
		}
	}
	return ""
}

// usageOf is printed when the arguments of a command are wrong.
func usageOf(prog, command string) string {
	return fmt.Sprintf("usage: %s %s\n\n%s", prog, syntaxOf(command), standardSwitches)
}

// fullUsage is printed when there is no command, or an unknown one.
func fullUsage(prog string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nusage: %s command [switches] arguments\n\n%s\nCommands:\n", versionLine(prog), prog, standardSwitches)
	for _, s := range syntaxes {
		fmt.Fprintf(&b, " %s\n", s.syntax)
		if s.does != "" {
			fmt.Fprintf(&b, "   ;; %s\n", s.does)
		}
	}
	return b.String()
}

func versionLine(prog string) string { return prog + " version " + version }

// What commands report; standard output.

func checked(st mailbox.Status, name string) string {
	if st.Recent > 0 || st.Unseen > 0 {
		return fmt.Sprintf("%d new message(s) (%d unseen), %d total in %s", st.Recent, st.Unseen, st.Messages, name)
	}
	return fmt.Sprintf("No new messages, %d total in %s", st.Messages, name)
}

func copying(source string, messages uint32, target string) string {
	if messages == 0 {
		return fmt.Sprintf("%s [empty] => %s", source, target)
	}
	return fmt.Sprintf("%s [%d message(s)] => %s", source, messages, target)
}

func copied(messages uint32) string { return fmt.Sprintf("[Ok %d messages(s)]", messages) }

const copyFailed = "[Failed]"

func purged(p ops.Pruned) string {
	if p.Matched == 0 {
		return "No matching messages, so nothing purged"
	}
	return fmt.Sprintf("%d message(s) purged", p.Gone)
}

// What transfer says; standard output.
const (
	listing     = "Listing mailboxes..."
	noDelimiter = "warning: unable to get destination hierarchy delimiter!"
	alternative = "alternative name: "
)

// What the library of the original says; standard error.

func notice(l mailbox.Level, text string) string {
	if l == mailbox.Info {
		return "[" + text + "]"
	}
	return "warning: " + text
}

const mustCreate = "[TRYCREATE] Must create mailbox before append"

func cantChangeUser(reason string) string { return "unable to change user id: " + reason }
