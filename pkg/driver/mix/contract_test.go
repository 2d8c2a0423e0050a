package mix

import (
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

func TestContract(t *testing.T) {
	mailboxtest.Run(t, mailboxtest.Harness{
		New: func(t *testing.T) (mailbox.Driver, *mailbox.Env) {
			env := mailboxtest.NewEnv(t)
			return New(env, nil), env
		},
		Foreign: "From a@example.com Mon Jul  2 00:00:00 2001\n\nx\n",
		Exact:   true, Zone: true, MaxKeywords: maxKeywords, UIDs: true, Shared: true, Busy: true,
	})
}
