package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/remote"
)

// remoteOptions say how to log in to servers. A password is never one of them.
type remoteOptions struct {
	passwordFile, passwordCommand, tunnel string
	plaintext, token                      bool
}

func (o *remoteOptions) add(f *pflag.FlagSet) {
	f.StringVar(&o.passwordFile, "password-file", "", "take the password for servers from the first line of this `file`")
	f.StringVar(&o.passwordCommand, "password-command", "", "take it from what this `command` prints; no shell is involved")
	f.BoolVar(&o.token, "access-token", false, "the password is an OAuth 2 access token")
	f.BoolVar(&o.plaintext, "insecure-plaintext", false, "a password may go over an unencrypted connection")
	f.StringVar(&o.tunnel, "tunnel", "", "speak to this `command` in place of the server; no shell is involved")
}

// forRemote makes the options of package remote.
func (c *cli) forRemote() (remote.Options, error) {
	o := c.opt.remote
	tunnel, err := splitWords(o.tunnel)
	if err != nil {
		return remote.Options{}, usageError("--tunnel: " + err.Error())
	}
	if o.passwordFile != "" && o.passwordCommand != "" {
		return remote.Options{}, usageError("--password-file and --password-command are mutually exclusive")
	}
	command, err := splitWords(o.passwordCommand)
	if err != nil {
		return remote.Options{}, usageError("--password-command: " + err.Error())
	}
	k := &keyring{file: o.passwordFile, command: command, known: map[string]string{}}
	out := remote.Options{Plaintext: o.plaintext, Token: o.token, Tunnel: tunnel, Password: k.password, User: askUser}
	if c.opt.debug {
		out.Trace = c.err
	}
	return out, nil
}

// A keyring gets passwords, and asks for each only once.
type keyring struct {
	file    string
	command []string
	known   map[string]string // by server and user
}

// maxPassword is how long a password may be; access tokens are long.
const maxPassword = 64 << 10

func (k *keyring) password(r mailbox.Remote, again bool) (string, error) {
	key := r.Host + "\x00" + r.User + "\x00" + r.AuthUser
	if p, ok := k.known[key]; ok && !again {
		return p, nil
	}
	given := k.file != "" || len(k.command) > 0
	if given && again {
		return "", mailbox.Sayf(mailbox.ErrTemporary, "Can't log in to %s: the password given is wrong", r.Prefix())
	}
	var p string
	var err error
	switch {
	case k.file != "":
		p, err = passwordOfFile(k.file)
	case len(k.command) > 0:
		p, err = passwordOfCommand(k.command)
	default:
		p, err = askPassword(r)
	}
	if err == nil {
		k.known[key] = p
	}
	return p, err
}

// passwordOfFile reads the first line of a file that nobody else may read.
func passwordOfFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", err
	}
	if fi.Mode().IsRegular() && fi.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("password file %s: others may read it (mode %#o); chmod 600 it", name, fi.Mode().Perm())
	}
	return firstLine(f)
}

// passwordOfCommand runs a program without a shell.
func passwordOfCommand(args []string) (string, error) {
	cmd := exec.Command(args[0], args[1:]...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("password command %s: %w", args[0], err)
	}
	return firstLine(&out)
}

func firstLine(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxPassword))
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}

// askPassword asks at the terminal, never on standard input.
func askPassword(r mailbox.Remote) (string, error) {
	tty, err := terminal()
	if err != nil {
		return "", err
	}
	defer tty.Close()
	auth := ""
	if r.AuthUser != "" {
		auth = "/authuser=" + r.AuthUser
	}
	fmt.Fprintf(tty, "{%s/%s/user=%s%s} password:", r.Host, r.Service, r.User, auth)
	p, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	return string(p), err
}

// askUser asks who logs in.
func askUser(r mailbox.Remote) (string, error) {
	tty, err := terminal()
	if err != nil {
		return "", mailbox.Sayf(mailbox.ErrName, "Nobody to log in as: write {%s/user=NAME}", r.Host)
	}
	defer tty.Close()
	fmt.Fprintf(tty, "{%s/%s} username: ", r.Host, r.Service)
	var line []byte
	for b := make([]byte, 1); len(line) < 64; {
		if n, err := tty.Read(b); n == 0 || err != nil || b[0] == '\n' {
			break
		}
		line = append(line, b[0])
	}
	return strings.TrimSpace(string(line)), nil
}

func terminal() (*os.File, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errors.New("there is no terminal to ask for the password at: give --password-file or --password-command")
	}
	return tty, nil
}

// splitWords splits a command at its blanks. Quotes of both kinds keep blanks
// in a word; nothing else means anything.
func splitWords(s string) (words []string, err error) {
	var word []byte
	var quote byte
	inWord := false
	for i := range len(s) {
		c := s[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word = append(word, c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t':
			if inWord {
				words = append(words, string(word))
			}
			word, inWord = nil, false
		default:
			word, inWord = append(word, c), true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if inWord {
		words = append(words, string(word))
	}
	return words, nil
}
