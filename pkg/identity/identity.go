// Package identity makes a process that runs as root another user, for good:
// groups, group and user id, all of them, verified.
package identity

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"mailutil/pkg/internal/spawn"
)

// An Identity is what the system calls a user.
type Identity struct {
	UID, GID int
	groups   []int // known from Take on
}

// Of returns the identity of a user.
func Of(u *user.User) (Identity, error) {
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return Identity{}, err
	}
	gid, err := strconv.Atoi(u.Gid)
	return Identity{UID: uid, GID: gid}, err
}

// Ours reports whether the process runs as the user already. Groups do not
// matter then: they are those that the user logged in with.
func (id Identity) Ours() bool { return os.Getuid() == id.UID && os.Geteuid() == id.UID }

// Take takes on groups, group and user, in this order, for the whole process.
// After an error it may be neither the one nor the other: it must end.
func (id Identity) Take(u *user.User) (err error) {
	if id.groups, err = groupsOf(u); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return syscall.Setgroups(id.groups) },
		func() error { return syscall.Setgid(id.GID) },
		func() error { return syscall.Setuid(id.UID) },
		id.verify,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// verify makes sure that nothing of the former user is left.
func (id Identity) verify() error {
	groups, err := syscall.Getgroups()
	if err != nil {
		return err
	}
	foreign := slices.ContainsFunc(groups, func(g int) bool { return g != id.GID && !slices.Contains(id.groups, g) })
	if !id.Ours() || os.Getgid() != id.GID || os.Getegid() != id.GID || foreign {
		return errors.New("the system did not change it completely")
	}
	if id.UID != 0 && (syscall.Setuid(0) == nil || syscall.Seteuid(0) == nil) {
		return errors.New("root's rights could be had back")
	}
	return nil
}

// groupsOf lists all groups of a user: by /etc/group where the system has no
// others, else by the program id.
func groupsOf(u *user.User) ([]int, error) {
	var ids []string
	var err error
	if groupsInFiles("/etc/nsswitch.conf") {
		var text []byte
		text, err = os.ReadFile("/etc/group")
		ids = groupsIn(string(text), u)
	} else {
		ids, err = groupsByID(u.Username)
	}
	groups := make([]int, 0, len(ids))
	for _, id := range ids {
		gid, bad := strconv.Atoi(id)
		err = errors.Join(err, bad)
		groups = append(groups, gid)
	}
	if err != nil {
		return nil, fmt.Errorf("groups of user %s: %w", u.Username, err)
	}
	return groups, nil
}

// groupsIn lists the groups of a user by the text of /etc/group, lines
// "name:x:gid:user,user", his own first.
func groupsIn(text string, u *user.User) []string {
	ids := []string{u.Gid}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) != 4 || f[0] == "" || f[0][0] == '+' || f[0][0] == '-' {
			continue // of NIS, or none
		}
		_, err := strconv.ParseUint(f[2], 10, 32)
		if err == nil && f[2] != u.Gid && slices.Contains(strings.Split(f[3], ","), u.Username) {
			ids = append(ids, f[2])
		}
	}
	return ids
}

// groupsByID asks the program id.
func groupsByID(username string) ([]string, error) {
	cmd := spawn.Command{
		Path: "/usr/bin/id", Args: []string{"-G", "--", username},
		Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C"},
	}
	out, end, err := cmd.Output(context.Background(), false)
	if err == nil && !end.Success() {
		err = errors.New(end.String())
	}
	return strings.Fields(string(out)), err
}

// groupsInFiles reports whether nsswitch.conf(5) names no source of groups but
// /etc/group. Those that systemd makes up belong to no one who gets mail.
func groupsInFiles(path string) bool {
	conf, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	found := false
	for line := range strings.Lines(string(conf)) {
		text, _, _ := strings.Cut(line, "#")
		db, sources, ok := strings.Cut(text, ":")
		db = strings.TrimSpace(db)
		if !ok || db != "group" && db != "initgroups" {
			continue
		}
		found = true
		for _, source := range strings.Fields(sources) {
			if source != "files" && source != "systemd" {
				return false
			}
		}
	}
	return found
}
