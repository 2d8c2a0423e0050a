package mailbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"mailutil/pkg/internal/spawn"
)

// maxHost is how many octets of the host's name are used.
const maxHost = 80

// NewEnv returns the surroundings of the user who runs us, by real user id.
// The home directory is $HOME where that is an existing directory, else, and
// always for root and in a set-uid program, that of the password file. Whom that
// file does not know is $USER, but neither there. $MAIL is not looked at. Config is
// DefaultConfig and Notify says nothing: set them, the former by Configure, before
// drivers use it.
func NewEnv() (*Env, error) {
	uid := os.Getuid()
	own := uid != 0 && uid == os.Geteuid() && os.Getgid() == os.Getegid() // so is the environment
	u, err := LookupID(uid)
	if name, home := os.Getenv("USER"), os.Getenv("HOME"); err != nil && own && name != "" && home != "" {
		u, err = &user.User{Username: name, HomeDir: home}, nil // as in a container, where nobody is known
	}
	if err != nil {
		return nil, err
	}
	e, err := EnvOf(u)
	if err != nil {
		return nil, err
	}
	if own {
		if home := os.Getenv("HOME"); filepath.IsAbs(home) && isDir(home) {
			e.Home = home
			e.StateDir = stateDir(home)
		}
		if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
			e.StateDir = filepath.Join(state, "mailutil")
		}
	}
	// Not known is said when a name needs it.
	e.Dir, _ = os.Getwd()
	return e, nil
}

// EnvOf returns the surroundings of a user, none of them taken from the
// environment variables of the process; Dir is "". A user without a home
// directory is an error: names would be below the root.
func EnvOf(u *user.User) (*Env, error) {
	if !filepath.IsAbs(u.HomeDir) {
		return nil, fmt.Errorf("user %s has no home directory", u.Username)
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	return &Env{
		User:     u.Username,
		Home:     u.HomeDir,
		Spool:    filepath.Join(spoolDir(), u.Username),
		Host:     host[:min(len(host), maxHost)],
		Now:      time.Now,
		Notify:   func(Level, string) {},
		LockDir:  "/tmp",
		StateDir: stateDir(u.HomeDir),
		Config:   DefaultConfig(),
	}, nil
}

// stateDir is where side files go by default.
func stateDir(home string) string { return filepath.Join(home, ".local/state/mailutil") }

// spoolDir is where the system INBOXes are: /var/mail, or /var/spool/mail on a
// system that has only that.
func spoolDir() string {
	if !isDir("/var/mail") && isDir("/var/spool/mail") {
		return "/var/spool/mail"
	}
	return "/var/mail"
}

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

// LookupUser finds a user by login name, wherever the system keeps its users.
// The error is a user.UnknownUserError where there is no such user, and an
// ErrTemporary where nobody can tell: the two must never be mixed up, for mail
// to an unknown user is sent back.
func LookupUser(name string) (*user.User, error) {
	return lookup(name, 0, user.UnknownUserError(name))
}

// LookupID finds a user by number, in the same way: the error is a
// user.UnknownUserIdError where nobody has it.
func LookupID(uid int) (*user.User, error) {
	return lookup(strconv.Itoa(uid), 2, user.UnknownUserIdError(uid))
}

const passwdFile = "/etc/passwd"

// lookup finds the user of whom key is that field of his line, in the password
// file or else by getent. Package os/user does not ask getent, and takes $USER and
// $HOME for the user of the process. unknown is the error for nobody.
func lookup(key string, field int, unknown error) (*user.User, error) {
	if key == "" || key[0] == '-' || strings.ContainsAny(key, ":\n\x00") {
		return nil, unknown
	}
	text, err := os.ReadFile(passwdFile)
	if err != nil {
		return nil, fmt.Errorf("%w: looking up user %s: %w", ErrTemporary, key, err)
	}
	if u := findUser(string(text), key, field); u != nil {
		return u, nil
	}
	return getent("/usr/bin/getent", key, unknown)
}

// findUser finds a user in the text of a password file, nil for nobody.
func findUser(text, key string, field int) *user.User {
	for line := range strings.Lines(text) {
		if f := strings.Split(line, ":"); len(f) > field && f[field] == key {
			if u := passwdLine(line); u != nil {
				return u
			}
		}
	}
	return nil
}

// getentTimeout is how long a directory service may take.
const getentTimeout = 30 * time.Second

// getent asks the program for a line of the password database. A system
// without the program has no other users than those of /etc/passwd.
func getent(program, key string, unknown error) (*user.User, error) {
	cmd := spawn.Command{
		Path: program, Args: []string{"passwd", key},
		Env:   []string{"PATH=/usr/bin:/bin", "LC_ALL=C"},
		Limit: getentTimeout,
	}
	out, end, err := cmd.Output(context.Background(), false)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, unknown
	case err != nil:
		return nil, fmt.Errorf("%w: looking up user %s: getent: %w", ErrTemporary, key, err)
	case end.ExitCode() == 2: // "one or more keys could not be found"
		return nil, unknown
	case !end.Success():
		return nil, fmt.Errorf("%w: looking up user %s: getent: %s", ErrTemporary, key, end)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	u := passwdLine(line)
	if u == nil || !filepath.IsAbs(u.HomeDir) {
		return nil, fmt.Errorf("%w: looking up user %s: not a line of a password file: %.80q", ErrTemporary, key, line)
	}
	return u, nil
}

// passwdLine reads "name:x:uid:gid:gecos:home:shell"; nil where it is no such line,
// or one of NIS.
func passwdLine(line string) *user.User {
	f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 7)
	if len(f) != 7 || f[0] == "" || f[0][0] == '+' || f[0][0] == '-' {
		return nil
	}
	for _, id := range f[2:4] {
		if _, err := strconv.ParseUint(id, 10, 32); err != nil {
			return nil
		}
	}
	return &user.User{Username: f[0], Uid: f[2], Gid: f[3], Name: f[4], HomeDir: f[5]}
}
