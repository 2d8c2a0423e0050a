package main

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// switches are the words of the original, without their dash, and the options
// they stand for. It knows exactly these spellings: no other abbreviation, no
// bundling. With two dashes they mean the same here.
var switches = map[string]string{
	"d": "debug", "debug": "debug",
	"v": "verbose", "verbose": "verbose",
	"rw": "rwcopy", "rwcopy": "rwcopy",
	"kw": "kwcopy", "kwcopy": "kwcopy",
	"ig": "ignore", "ignore": "ignore",
	"m": "merge", "merge": "merge",
	"u": "user", "user": "user",
	"h": "help", "version": "version",
	"0": "null", "l": "mailboxes", // ours
}

// A commandLine is what the arguments mean: switches may stand anywhere before
// "--", and the first other word is the command.
type commandLine struct {
	command string
	options []string // as cobra takes them: --NAME or --NAME=VALUE
	args    []string // of the command, at most two where it does not take many mailboxes
}

// cobra returns the arguments in the order that cobra takes without surprises.
func (l commandLine) cobra() []string {
	return slices.Concat([]string{l.command}, l.options, []string{"--"}, l.args)
}

// parseLine reads the arguments after the name of the program, left to right,
// as the original does. Cobra must not see them as they are: to it, -user is
// "-u ser". known are our own options, written with two dashes.
func parseLine(args []string, known *pflag.FlagSet) (commandLine, error) {
	var l commandLine
	words := 0
	ended := false
	many := false // mailboxes
	for i := 0; i < len(args); i++ {
		word := args[i]
		switch {
		case word == "--" && !ended:
			ended = true
		case ended || word == "" || word[0] != '-' || word == "-" && words > 0:
			if words++; words > 3 && !many {
				return l, usageError(unknownArgument(word))
			}
			if words == 1 {
				l.command = word
				many = takesMany(word, args)
			} else {
				l.args = append(l.args, word)
			}
		default:
			used, err := l.option(word, args[i+1:], known)
			if err != nil {
				return l, err
			}
			i += used
		}
	}
	return l, nil
}

// takesMany reports whether a command takes any number of mailboxes: not those
// of the original, unless args have what makes them another command.
func takesMany(command string, args []string) bool {
	switch command {
	case "search", "info", "lock", "repair", "convert", "dedup":
		return true
	}
	return command == "check" && slices.Contains(args, "--deep")
}

// option reads the switch word and, where it takes one, its value from the
// words behind it. used is how many of them it took.
func (l *commandLine) option(word string, behind []string, known *pflag.FlagSet) (used int, err error) {
	name, value, given := cutOption(word)
	if name == "" {
		return 0, usageError(unknownSwitch(word))
	}
	if name == "merge" || takesValue(known, name) {
		if !given {
			if len(behind) == 0 {
				return 0, usageError(unknownSwitch(word))
			}
			value, given, used = behind[0], true, 1
		}
	} else if known.Lookup(name) == nil && name != "help" && name != "version" {
		return 0, usageError(unknownSwitch(word))
	}
	if name == "merge" && !validMerge(value) {
		return 0, usageError(unknownMerge(value))
	}
	option := "--" + name
	if given {
		option += "=" + value
	}
	l.options = append(l.options, option)
	if slices.Contains(l.options, "--kwcopy") && slices.Contains(l.options, "--ignore") {
		return 0, usageError(exclusive)
	}
	return used, nil
}

// cutOption finds the option that a switch stands for; "" for none.
func cutOption(word string) (name, value string, given bool) {
	long, double := strings.CutPrefix(word, "--")
	if !double {
		return switches[word[1:]], "", false
	}
	long, value, given = strings.Cut(long, "=")
	if name = switches[long]; name == "" {
		name = long
	}
	return name, value, given
}

func takesValue(known *pflag.FlagSet, name string) bool {
	f := known.Lookup(name)
	return f != nil && f.NoOptDefVal == ""
}

// validMerge checks the modes of the command transfer.
func validMerge(mode string) bool {
	suffix, ok := strings.CutPrefix(mode, "suffix=")
	return mode == "prompt" || mode == "append" || ok && suffix != ""
}
