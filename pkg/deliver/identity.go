package deliver

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"

	"mailutil/pkg/exit"
	"mailutil/pkg/identity"
	"mailutil/pkg/mailbox"
)

// lookUp finds the user of that name, exactly as it is written. The status is
// NoUser only where all that know users say that there is none.
func lookUp(name string) (*user.User, error) {
	u, err := mailbox.LookupUser(name)
	if _, unknown := errors.AsType[user.UnknownUserError](err); unknown {
		return nil, exit.With(exit.NoUser, fmt.Errorf("no such user as %s", name))
	}
	if err == nil && u.Username != name && strings.Trim(name, "0123456789") == "" {
		// getent takes a number for a user id.
		return nil, fmt.Errorf("cannot tell whether there is a user called %s", name)
	}
	return u, err
}

// become takes on the identity of a user, as far as it is not ours already,
// for good, and returns the user id.
func become(u *user.User) (uid int, err error) {
	id, err := identity.Of(u)
	if err != nil {
		return 0, err
	}
	if id.UID == 0 {
		return 0, errors.New("mail to root prohibited")
	}
	if id.Ours() {
		return id.UID, nil
	}
	refused := fmt.Errorf("unable to log in UID %d from UID %d", id.UID, os.Geteuid())
	if os.Geteuid() != 0 {
		return 0, refused
	}
	if err := id.Take(u); err != nil {
		return 0, fmt.Errorf("%w: %w", refused, err)
	}
	return id.UID, nil
}
