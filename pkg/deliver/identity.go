package deliver

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"mailutil/pkg/exit"
	"mailutil/pkg/mailbox"
)

// lookUp finds the user of that name, exactly as it is written. The status is
// NoUser only where all that know users say that there is none.
func lookUp(name string) (*user.User, error) {
	u, err := mailbox.LookupUser(name)
	if errors.As(err, new(user.UnknownUserError)) {
		return nil, exit.With(exit.NoUser, fmt.Errorf("no such user as %s", name))
	}
	if err == nil && u.Username != name && strings.Trim(name, "0123456789") == "" {
		// getent takes a number for a user id.
		return nil, fmt.Errorf("cannot tell whether there is a user called %s", name)
	}
	return u, err
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
	return identity{uid: uid, gid: gid}, err
}

// become takes on the identity of a user, as far as it is not ours already:
// groups, group, user, in this order, for the whole process and for good.
func become(u *user.User) (identity, error) {
	id, err := identityOf(u)
	if err != nil {
		return id, err
	}
	if id.uid == 0 {
		return id, errors.New("mail to root prohibited")
	}
	was := os.Geteuid()
	if was == id.uid && os.Getuid() == id.uid {
		return id, nil // the groups are those that the user logged in with
	}
	refused := fmt.Errorf("unable to log in UID %d from UID %d", id.uid, was)
	if was != 0 {
		return id, refused
	}
	if id.groups, err = groupsOf(u); err != nil {
		return id, err
	}
	for _, step := range []func() error{
		func() error { return syscall.Setgroups(id.groups) },
		func() error { return syscall.Setgid(id.gid) },
		func() error { return syscall.Setuid(id.uid) },
		id.verify,
	} {
		if err := step(); err != nil {
			return id, fmt.Errorf("%w: %w", refused, err)
		}
	}
	return id, nil
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
	if syscall.Setuid(0) == nil || syscall.Seteuid(0) == nil {
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
		ids, err = u.GroupIds()
	} else {
		cmd := exec.Command("/usr/bin/id", "-G", "--", u.Username)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
		var out []byte
		out, err = cmd.Output()
		ids = strings.Fields(string(out))
	}
	if err != nil {
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

// groupsInFiles reports whether nsswitch.conf(5) names no source of groups but
// /etc/group. Those that systemd makes up belong to no one who gets mail.
func groupsInFiles(path string) bool {
	conf, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	found := false
	for line := range bytes.Lines(conf) {
		text, _, _ := strings.Cut(string(line), "#")
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
