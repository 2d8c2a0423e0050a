package imap

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// A command is what a client sent, its literals in place.
type command struct {
	tag, name string
	uid       bool // UID FETCH and the like
	args      parser
	raw       []byte
	message   int64 // the size of a literal behind it that is a message; -1 for none
	sync      bool  // that literal waits for us
}

// A badError is a command that cannot be understood.
type badError string

func (e badError) Error() string { return string(e) }

// read reads a command: a line, and as long as that ends in a literal, the
// literal and a further line.
func (s *Server) read() (*command, error) {
	c := &command{message: -1}
	for {
		at := len(c.raw)
		if err := s.readLine(c); err != nil {
			return c, err
		}
		line := bytes.TrimRight(c.raw[at:], "\r\n")
		n, ok := literalSize(line)
		if at == 0 {
			if err := c.begin(line); err != nil {
				s.traceCommand(c)
				return c, err
			}
		}
		if !ok {
			c.raw = c.raw[:at+len(line)]
			break
		}
		sync := !bytes.HasSuffix(line, []byte("+}"))
		if c.name == "APPEND" && c.isMessage() {
			c.message, c.sync = n, sync
			break
		}
		if err := s.smallLiteral(c, n, sync); err != nil {
			return c, err
		}
	}
	s.traceCommand(c)
	return c, c.parse()
}

// readLine adds a line to a command.
func (s *Server) readLine(c *command) error {
	for {
		piece, err := s.r.ReadSlice('\n')
		if len(c.raw)+len(piece) > maxCommandLine {
			s.untagged("BYE Command line too long")
			return errHopeless
		}
		c.raw = append(c.raw, piece...)
		if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// begin reads the tag and the name of a command.
func (c *command) begin(line []byte) error {
	p := parser{line}
	tag := p.atom()
	p.space()
	name := strings.ToUpper(string(p.atom()))
	switch {
	case len(line) == 0:
		c.tag = "*"
		return badError("Null command")
	case len(tag) == 0 || len(tag) > maxTag || bytes.ContainsAny(tag, `"%*\{+`):
		c.tag = "*"
		return badError("Bad tag")
	}
	c.tag = string(tag)
	if name == "UID" {
		c.uid = true
		p.space()
		name = strings.ToUpper(string(p.atom()))
	}
	if c.name = name; name == "" {
		return badError("Missing command")
	}
	return nil
}

// parse leaves the arguments to be read.
func (c *command) parse() error {
	p := parser{c.raw}
	p.atom()
	p.space()
	p.atom()
	if c.uid {
		p.space()
		p.atom()
	}
	c.args = p
	return nil
}

// isMessage reports whether the literal at the end of an APPEND is the message,
// not the name of the mailbox.
func (c *command) isMessage() bool {
	c.parse()
	p := c.args
	p.space()
	_, _, err := p.text()
	return err == nil
}

// smallLiteral adds a literal to a command.
func (s *Server) smallLiteral(c *command, n int64, sync bool) error {
	if n > maxSmallLiteral {
		if !sync {
			s.untagged("BYE Literal too large")
			return errHopeless
		}
		return badError("Literal too large")
	}
	if sync {
		s.line("+ Ready for argument")
		if err := s.flush(); err != nil {
			return err
		}
	}
	at := len(c.raw)
	c.raw = append(c.raw, make([]byte, n)...)
	_, err := io.ReadFull(s.r, c.raw[at:])
	return err
}

// traceCommand shows a command; not what is secret in it.
func (s *Server) traceCommand(c *command) {
	shown := c.raw
	switch c.name {
	case "LOGIN":
		shown = []byte(c.tag + " LOGIN <suppressed>")
	case "AUTHENTICATE":
		if words := bytes.Fields(c.raw); len(words) > 3 {
			shown = append(bytes.Join(words[:3], []byte(" ")), " <suppressed>"...)
		}
	}
	s.Trace("> ", bytes.TrimRight(shown, "\r\n"))
}

// text reads one string argument.
func (c *command) text() (string, error) {
	if !c.args.take(' ') {
		return "", badError("Missing or invalid argument to " + c.name)
	}
	c.args.space()
	if len(c.args.b) == 0 {
		return "", badError("Missing or invalid argument to " + c.name)
	}
	b, _, err := c.args.text()
	if err != nil {
		return "", badError("Missing or invalid argument to " + c.name)
	}
	return string(b), nil
}

// end makes sure that there are no more arguments.
func (c *command) end() error {
	if len(bytes.TrimRight(c.args.b, " ")) > 0 {
		return badError("Argument given to " + c.name + " when none expected")
	}
	return nil
}
