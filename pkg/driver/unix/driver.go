package unix

import (
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/mboxfile"
	"mailutil/pkg/mailbox"
)

// Driver is the unix format. Its field FS, the file calls of writers, may be set
// before first use.
type Driver = mboxfile.Driver

// New returns the driver.
func New(env *mailbox.Env) *Driver { return mboxfile.New(mbox.Unix, env) }
