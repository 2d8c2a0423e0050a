package main

import (
	"errors"
	"slices"
	"strings"

	"mailutil/pkg/deliver"
	"mailutil/pkg/exit"
)

// A line is a command line that was understood.
type line struct {
	options    deliver.Options
	recipients []string
	compat     bool
}

// status is the exit status, which --compat folds as the original does.
func (l *line) status(s exit.Status) int {
	if l.compat && s != exit.OK && s != exit.CantCreate {
		s = exit.TempFail
	}
	return int(s)
}

var (
	errHelp    = errors.New("help")
	errVersion = errors.New("version")
)

// parse reads the arguments as the original does: a switch is known by its
// second character alone, its value is the next argument, and the first
// argument that is no switch ends them. Errors are in its words. The line is
// valid as far as it was read, also with an error.
func parse(args []string) (*line, error) {
	l := &line{compat: slices.Contains(args, "--compat")}
	l.options.Version = protocol
	if len(args) == 0 {
		return l, errors.New(shortUsage)
	}
	all := args
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		rest, err := l.take(word, args)
		if err != nil {
			return l, err
		}
		args = rest
	}
	l.recipients = args
	l.options.Again = append([]string{"--several"}, switches(all, args)...)
	if l.options.Format != "" && l.options.Inbox != "" {
		return l, errors.New("duplicate -b or -I")
	}
	return l, nil
}

// switches are the arguments before the recipients, without "--".
func switches(all, recipients []string) []string {
	s := all[:len(all)-len(recipients)]
	if len(s) > 0 && s[len(s)-1] == "--" {
		s = s[:len(s)-1]
	}
	return slices.Clone(s)
}

// take takes one switch, and returns what is left of the arguments behind it.
func (l *line) take(word string, args []string) ([]string, error) {
	if strings.HasPrefix(word, "--") {
		return args, l.long(word)
	}
	letter := byte(0)
	if len(word) > 1 {
		letter = word[1]
	}
	o := &l.options
	switch letter {
	case 'D':
		o.Debug = true
		return args, nil
	case 'd': // long out of use
		return args, nil
	case 's':
		return args[min(1, len(args)):], nil
	case 'p':
		return l.precedence(word[2:], args)
	}
	name, duplicate := "", false
	switch letter {
	case 'f', 'r':
		name, duplicate = "-f or -r", o.HasFrom
	case 'I', 'b':
		name, duplicate = "-b or -I", o.Format != "" || o.Inbox != ""
	default:
		return args, errors.New("unknown switch")
	}
	if duplicate {
		return args, errors.New("duplicate " + name)
	}
	if len(args) == 0 {
		if letter == 'I' || letter == 'b' {
			name = "-" + string(letter)
		}
		return args, errors.New("missing argument to " + name)
	}
	return args[1:], l.value(letter, args[0])
}

// value takes the value of a switch.
func (l *line) value(letter byte, value string) error {
	switch letter {
	case 'f', 'r':
		l.options.From, l.options.HasFrom = value, true
	case 'I':
		l.options.Inbox = value
	case 'b':
		l.options.Format = value
		return deliver.CheckFormat(value)
	}
	return nil
}

// precedence takes "-pN" or "-p N".
func (l *line) precedence(value string, args []string) ([]string, error) {
	if value == "" && len(args) > 0 {
		value, args = args[0], args[1:]
	}
	if value == "" || strings.Trim(value, "+-0123456789") != "" {
		return args, errors.New("missing argument to -p")
	}
	l.options.Precedence = value
	return args, nil
}

// long takes an option that the original does not have.
func (l *line) long(word string) error {
	switch word {
	case "--compat":
	case "--delivered-to":
		l.options.DeliveredTo = true
	case "--several": // by which we call ourselves
		l.options.Several = true
	case "--help":
		return errHelp
	case "--version":
		return errVersion
	default:
		return errors.New("unknown switch")
	}
	return nil
}
