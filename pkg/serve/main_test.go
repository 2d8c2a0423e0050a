package serve_test

import (
	"mailutil/pkg/driver/all"
	"mailutil/pkg/imap"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/pop3"
	"mailutil/pkg/remote"
)

// ours are all drivers, those of servers among them.
func ours(env *mailbox.Env) mailbox.Drivers {
	o := remote.Options{Password: func(mailbox.Remote, bool) (string, error) { return "secret", nil }}
	return append(all.Drivers(env), imap.New(env, o), pop3.New(env, o))
}
