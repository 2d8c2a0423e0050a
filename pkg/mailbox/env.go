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
// always for root and in a set-uid program, that of the password
// file. $MAIL is not looked at. Config is DefaultConfig and Notify says
// nothing: set them, the former by Configure, before drivers use it.
func NewEnv() (*Env, error) {
	uid := os.Getuid()
	u, err := LookupID(uid)
	if err != nil {
		return nil, err
	}
	e, err := EnvOf(u)
	if err != nil {
		return nil, err
	}
	if uid != 0 && uid == os.Geteuid() && os.Getgid() == os.Getegid() {
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
	return lookup(name, user.Lookup, user.UnknownUserError(name))
}

// LookupID finds a user by number, in the same way: the error is a
// user.UnknownUserIdError where nobody has it.
func LookupID(uid int) (*user.User, error) {
	return lookup(strconv.Itoa(uid), user.LookupId, user.UnknownUserIdError(uid))
}

// lookup asks package os/user, which without cgo knows only /etc/passwd, and
// then getent. unknown is the error for nobody.
func lookup(key string, find func(string) (*user.User, error), unknown error) (*user.User, error) {
	u, err := find(key)
	if err == nil {
		return u, nil
	}
	if key == "" || key[0] == '-' || strings.ContainsAny(key, ":\n\x00") {
		return nil, unknown
	}
	_, noName := errors.AsType[user.UnknownUserError](err)
	_, noID := errors.AsType[user.UnknownUserIdError](err)
	if noName || noID {
		return getent("/usr/bin/getent", key, unknown)
	}
	return nil, fmt.Errorf("%w: looking up user %s: %w", ErrTemporary, key, err)
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
	return passwdLine(string(out), key)
}

// passwdLine reads "name:x:uid:gid:gecos:home:shell".
func passwdLine(line, key string) (*user.User, error) {
	line, _, _ = strings.Cut(line, "\n")
	f := strings.Split(line, ":")
	if len(f) != 7 || f[0] == "" || !filepath.IsAbs(f[5]) {
		return nil, fmt.Errorf("%w: looking up user %s: not a line of a password file: %.80q", ErrTemporary, key, line)
	}
	for _, id := range f[2:4] {
		if _, err := strconv.ParseUint(id, 10, 32); err != nil {
			return nil, fmt.Errorf("%w: looking up user %s: bad id: %w", ErrTemporary, key, err)
		}
	}
	return &user.User{Username: f[0], Uid: f[2], Gid: f[3], Name: f[4], HomeDir: f[5]}, nil
}
