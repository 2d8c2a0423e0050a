package mx

import (
	"testing"

	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

func TestContract(t *testing.T) {
	mailboxtest.Run(t, mailboxtest.Harness{
		New: func(t *testing.T) (mailbox.Driver, *mailbox.Env) {
			env := mailboxtest.NewEnv(t)
			d := New(env)
			d.FS = fsxtest.Unsynced{} // TestCrash sees to the rest
			return d, env
		},
		Foreign: "From a@example.com Mon Jul  2 00:00:00 2001\n\nx\n",
		Exact:   true, MaxKeywords: maxKeywords, Shared: true, UIDs: true, Unlocked: true,
	})
}
