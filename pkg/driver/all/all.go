// Package all lists the formats.
package all

import (
	"mailutil/pkg/driver/mbx"
	"mailutil/pkg/driver/unix"
	"mailutil/pkg/mailbox"
)

// Drivers returns the local formats in the order in which they are asked
// whether a mailbox is theirs. The order is behaviour: the first that says so
// has it.
func Drivers(env *mailbox.Env) mailbox.Drivers {
	u := unix.New(env)
	return mailbox.Drivers{mbx.New(env, u), u}
}
