package maildir

import (
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

func TestContract(t *testing.T) {
	inMemory(t)
	mailboxtest.Run(t, mailboxtest.Harness{
		New: func(t *testing.T) (mailbox.Driver, *mailbox.Env) {
			env := mailboxtest.NewEnv(t)
			return New(env), env
		},
		Foreign:     "From a@example.org Wed Jan  1 01:02:03 2020\n\n",
		MaxKeywords: maxLetter,
		Shared:      true,
		Unlocked:    true,
	})
}
