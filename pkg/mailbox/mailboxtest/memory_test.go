package mailboxtest_test

import (
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

func TestMemory(t *testing.T) {
	mailboxtest.Run(t, mailboxtest.Harness{
		New: func(t *testing.T) (mailbox.Driver, *mailbox.Env) {
			env := mailboxtest.NewEnv(t)
			return mailboxtest.NewMemory(env, "memory"), env
		},
		Exact: true, Zone: true, Sender: true, MaxKeywords: mailbox.MaxKeywords, UIDs: true, Shared: true, Busy: true,
	})
}
