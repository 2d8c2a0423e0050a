// Package all lists the formats.
package all

import (
	"mailutil/pkg/driver/dummy"
	"mailutil/pkg/driver/maildir"
	"mailutil/pkg/driver/mbox"
	"mailutil/pkg/driver/mbx"
	"mailutil/pkg/driver/mh"
	"mailutil/pkg/driver/mix"
	"mailutil/pkg/driver/mmdf"
	"mailutil/pkg/driver/mtx"
	"mailutil/pkg/driver/mx"
	"mailutil/pkg/driver/news"
	"mailutil/pkg/driver/phile"
	"mailutil/pkg/driver/tenex"
	"mailutil/pkg/driver/unix"
	"mailutil/pkg/mailbox"
)

// Drivers returns the local formats in the order in which they are asked
// whether a mailbox is theirs. The order is behaviour: the first that says so
// has it. phile takes every file that the ones before it leave, dummy what
// has nothing in it.
func Drivers(env *mailbox.Env) mailbox.Drivers {
	// That another program has the system mailbox is no warning where an INBOX only
	// takes in what is in it: the turn of that comes.
	quiet := *env
	quiet.Notify = func(l mailbox.Level, text string) {
		if l == mailbox.Info {
			env.Notify(l, text)
		}
	}
	spool := unix.New(&quiet)
	var ds mailbox.Drivers
	ds = mailbox.Drivers{
		mbox.New(env, spool),
		mix.New(env, spool),
		mx.New(env),
		maildir.New(env),
		mbx.New(env, spool),
		tenex.New(env, spool),
		mtx.New(env, spool),
		mh.New(env, spool),
		mmdf.New(env),
		unix.New(env),
		news.New(env),
		phile.New(env),
		dummy.New(env, func() mailbox.Driver { return ds.Default(env.Config.EmptyFormat) }),
	}
	return ds
}

// Thunderbird returns what reads the mbox files of Thunderbird, and writes to them
// what a session has to; new messages are not for it.
func Thunderbird(env *mailbox.Env) mailbox.Driver {
	d := unix.New(env)
	d.Thunderbird = true
	return d
}
