package main

import (
	"errors"
	"os"
	"os/user"
	"syscall"

	"mailutil/pkg/identity"
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
	if err := take(u); err != nil {
		return nil, err
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

// take changes the identity of the whole process, as far as it is another.
func take(u *user.User) error {
	id, err := identity.Of(u)
	switch {
	case err != nil:
		return err
	case id.UID != 0 && id.Ours():
		return nil
	case os.Geteuid() != 0:
		return notAllowed{strerror(syscall.EPERM)}
	}
	if err := id.Take(u); err != nil {
		return notAllowed{strerror(err)}
	}
	return nil
}
