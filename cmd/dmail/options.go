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
	options   deliver.Options
	recipient string // "" for our INBOX
	compat    bool
	keywords  bool // -k was there
}

// status is the exit status, which --compat folds as the original does.
func (l *line) status(s exit.Status) int {
	if l.compat && s != exit.OK {
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
	if len(args) > 1 {
		return l, errors.New("too many recipients")
	}
	if len(args) == 1 {
		l.recipient = args[0]
	}
	return l, nil
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
		o.Flags = append(o.Flags, `\Seen`)
		return args, nil
	case 'p':
		return l.precedence(word[2:], args)
	}
	duplicate := false
	switch letter {
	case 'f', 'r':
		duplicate = o.HasFrom
	case 'k':
		duplicate = l.keywords
	default:
		return args, errors.New("unknown switch")
	}
	if duplicate {
		return args, errors.New("duplicate -" + string(letter))
	}
	if len(args) == 0 {
		return args, errors.New("missing argument to -" + string(letter))
	}
	if letter == 'k' {
		l.keywords = true
		o.Flags = append(o.Flags, strings.Fields(args[0])...)
	} else {
		o.From, o.HasFrom = args[0], true
	}
	return args[1:], nil
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
	case "--help":
		return errHelp
	case "--version":
		return errVersion
	default:
		return errors.New("unknown switch")
	}
	return nil
}
