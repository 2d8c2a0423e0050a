package mh

import (
	"path/filepath"
	"testing"

	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// TestContract has mailboxes below the directory of the configuration.
func TestContract(t *testing.T) {
	mailboxtest.Run(t, mailboxtest.Harness{
		New: func(t *testing.T) (mailbox.Driver, *mailbox.Env) {
			env := mailboxtest.NewEnv(t)
			env.Config.MHPath = "MH"
			d := New(env, nil)
			d.FS = fsxtest.Unsynced{} // TestCrash sees to the rest
			return d, env
		},
		Name: func(env *mailbox.Env, name string) mailbox.Name {
			return mailbox.Name{Text: name, Path: filepath.Join(env.Home, "MH", name)}
		},
		MaxKeywords: maxKeywords, Shared: true, Numbers: true, Unlocked: true,
	})
}
