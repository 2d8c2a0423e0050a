package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"mailutil/pkg/mailbox"
)

// A notAllowed error is a change of user that the system refuses.
type notAllowed struct{ reason string }

func (e notAllowed) Error() string { return cantChangeUser(e.reason) }

// becomeUser takes on the identity of a user for good: groups, group id, user
// id, home directory. The original changes the user id alone, so that names
// are below the home of root, and new files are of root's group.
func becomeUser(name string) (*mailbox.Env, error) {
	u, err := mailbox.LookupUser(name)
	if errors.As(err, new(user.UnknownUserError)) {
		return nil, usageError(unknownUser(name))
	}
	if err != nil {
		return nil, err
	}
	id, err := identityOf(u)
	if err != nil {
		return nil, err
	}
	if !id.ours() {
		if err := id.take(); err != nil {
			return nil, err
		}
	}
	for name, value := range map[string]string{"HOME": u.HomeDir, "USER": u.Username, "LOGNAME": u.Username} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	env, err := mailbox.EnvOf(u)
	if err != nil {
		return nil, err
	}
	env.Dir, _ = os.Getwd() // not known is said when a name needs it
	return env, nil
}

// An identity is what the system calls a user.
type identity struct {
	uid, gid int
	groups   []int
}

func identityOf(u *user.User) (identity, error) {
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return identity{}, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return identity{}, err
	}
	groups, err := groupsOf(u)
	return identity{uid, gid, groups}, err
}

// groupsOf lists all groups of a user. The program id knows those that are not
// in /etc/group, too.
func groupsOf(u *user.User) ([]int, error) {
	var ids []string
	cmd := exec.Command("/usr/bin/id", "-G", "--", u.Username)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	out, err := cmd.Output()
	if err == nil {
		ids = strings.Fields(string(out))
	} else if ids, err = u.GroupIds(); err != nil {
		return nil, fmt.Errorf("groups of user %s: %w", u.Username, err)
	}
	groups := make([]int, 0, len(ids))
	for _, id := range ids {
		gid, err := strconv.Atoi(id)
		if err != nil {
			return nil, fmt.Errorf("groups of user %s: %w", u.Username, err)
		}
		groups = append(groups, gid)
	}
	return groups, nil
}

// ours reports whether the process runs as the user already. Groups do not
// matter then: they are what the user logged in with.
func (id identity) ours() bool {
	return id.uid != 0 && os.Getuid() == id.uid && os.Geteuid() == id.uid
}

// take changes the identity of the whole process and looks whether it did.
func (id identity) take() error {
	if os.Geteuid() != 0 {
		return notAllowed{strerror(syscall.EPERM)}
	}
	steps := []func() error{
		func() error { return syscall.Setgroups(id.groups) },
		func() error { return syscall.Setgid(id.gid) },
		func() error { return syscall.Setuid(id.uid) },
		id.verify,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return notAllowed{strerror(err)}
		}
	}
	return nil
}

// verify makes sure that nothing of the former user is left.
func (id identity) verify() error {
	groups, err := syscall.Getgroups()
	if err != nil {
		return err
	}
	foreign := slices.ContainsFunc(groups, func(g int) bool { return g != id.gid && !slices.Contains(id.groups, g) })
	if os.Getuid() != id.uid || os.Geteuid() != id.uid || os.Getgid() != id.gid || os.Getegid() != id.gid || foreign {
		return errors.New("the system did not change it completely")
	}
	if id.uid != 0 && syscall.Setuid(0) == nil {
		return errors.New("root's rights could be had back")
	}
	return nil
}
