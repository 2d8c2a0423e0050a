package mbox

import (
	"mailutil/pkg/internal/mboxfile"
	"mailutil/pkg/mailbox"
)

// Driver is INBOX in ~/mbox. Its field FS, the file calls of writers, may be set
// before first use.
type Driver = mboxfile.Inbox

// New returns the driver. spool is the unix driver, which reads the system INBOX.
func New(env *mailbox.Env, spool *mboxfile.Driver) Driver { return mboxfile.NewInbox(env, spool) }
