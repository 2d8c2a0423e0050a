package deliver

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"mailutil/pkg/exit"
)

// A Line is a command line of an agent, as far as it was read.
type Line struct {
	Options
	Args   []string // behind the switches
	compat bool
}

// A Switch is an option as the original has them.
type Switch struct {
	Valued bool   // the next argument is its value
	Group  string // of switches of which there may be one, "" for any number
	Twice  string // what is said to be there twice, "" for the switch itself,
	Lacks  string // and to lack its value
	Take   func(value string) error
}

var (
	errHelp    = errors.New("help")
	errVersion = errors.New("version")
)

// Sender is the switch for the envelope sender. said is what complaints call
// it, "" for the switch itself.
func (l *Line) Sender(said string) Switch {
	return Switch{Valued: true, Group: "sender", Twice: said, Lacks: said, Take: func(value string) error {
		l.From, l.HasFrom = value, true
		return nil
	}}
}

// Parse reads the arguments as the original does: a switch is known by its
// second character alone, its value is the next argument, and the first
// argument that is no switch ends them. Errors are in its words. own are the
// switches that only this agent has, "-k" and the like; those of this program
// begin with "--" and have no value.
func (l *Line) Parse(args []string, own map[string]Switch) error {
	l.compat = slices.Contains(args, "--compat")
	seen := map[string]bool{}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		var err error
		if s, ok := own[key(word)]; ok {
			args, err = s.take(key(word), args, seen)
		} else {
			args, err = l.common(word, args)
		}
		if err != nil {
			return err
		}
	}
	l.Args = args
	return nil
}

// key is what a switch is known by.
func key(word string) string {
	if strings.HasPrefix(word, "--") {
		return word
	}
	return word[:min(2, len(word))]
}

// take takes one switch, and returns what is left of the arguments behind it.
func (s Switch) take(name string, args []string, seen map[string]bool) ([]string, error) {
	if s.Group != "" && seen[s.Group] {
		return args, errors.New("duplicate " + cmp.Or(s.Twice, name))
	}
	seen[s.Group] = true
	if !s.Valued {
		return args, s.Take("")
	}
	if len(args) == 0 {
		return args, errors.New("missing argument to " + cmp.Or(s.Lacks, name))
	}
	return args[1:], s.Take(args[0])
}

// common takes a switch that all agents have.
func (l *Line) common(word string, args []string) ([]string, error) {
	switch key(word) {
	case "-D":
		l.Debug = true
	case "-d": // long out of use
	case "-p":
		return l.precedence(word[2:], args)
	case "--compat":
	case "--delivered-to":
		l.DeliveredTo = true
	case "--help":
		return args, errHelp
	case "--version":
		return args, errVersion
	default:
		return args, errors.New("unknown switch")
	}
	return args, nil
}

// precedence takes "-pN" or "-p N".
func (l *Line) precedence(value string, args []string) ([]string, error) {
	if value == "" && len(args) > 0 {
		value, args = args[0], args[1:]
	}
	if value == "" || strings.Trim(value, "+-0123456789") != "" {
		return args, errors.New("missing argument to -p")
	}
	l.Precedence = value
	return args, nil
}

// A Program is an agent as its main function describes it.
type Program struct {
	Name, Version string
	Help          string
	Parse         func(l *Line, args []string) error
	Deliver       func(a *Agent, args []string) exit.Status
	Fixed         []exit.Status // that --compat leaves as they are
}

// Run does what the arguments ask for. They may be missing altogether, as
// execve(2) allows it. A fault of ours is a temporary failure too: mail systems
// send a message back for the status by which a program ends that panics. What
// it was doing the next delivery finishes or takes back, as after a kill.
func (p Program) Run(args []string, stdin io.Reader, stdout, stderr io.Writer) (status int) {
	defer func() {
		if fault := recover(); fault != nil {
			newLog(p.Name, false, stderr).say(levelError, "internal error: %v", fault)
			status = int(exit.TempFail)
		}
	}()
	l := &Line{}
	err := p.Parse(l, args[min(1, len(args)):])
	switch {
	case err == errHelp:
		fmt.Fprintln(stdout, p.Help)
		return 0
	case err == errVersion:
		fmt.Fprintln(stdout, p.Name, p.Version)
		return 0
	case err != nil:
		fmt.Fprintln(stderr, err)
		return p.status(l, exit.Usage)
	}
	return p.status(l, p.Deliver(New(p.Name, l.Options, stdin, stderr), l.Args))
}

// status is the exit status, which --compat folds as the original does.
func (p Program) status(l *Line, s exit.Status) int {
	if l.compat && s != exit.OK && !slices.Contains(p.Fixed, s) {
		s = exit.TempFail
	}
	return int(s)
}
