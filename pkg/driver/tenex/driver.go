package tenex

import (
	"mailutil/pkg/internal/mailtxt"
	"mailutil/pkg/mailbox"
)

// Driver is the tenex format. Its field FS, the file calls of writers, may be set
// before first use.
type Driver = mailtxt.Driver

// New returns the driver. spool reads the system INBOX, from which new mail
// goes to an INBOX of this format; nil leaves it where it is.
func New(env *mailbox.Env, spool mailbox.Driver) *Driver {
	return mailtxt.New(mailtxt.Tenex, env, spool)
}
