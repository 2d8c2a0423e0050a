package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// What is for the administrator.

const help = `usage: mlock FD PATH | --check | --help

Makes PATH.lock for mail programs that may not make files in the spool
directory. It must be set-group-id mail, and the directory writable by that
group:

	chgrp mail mlock && chmod 2755 mlock
	chgrp mail /var/mail && chmod 2775 /var/mail

"mlock --check" tells whether that is so. It locks below /var/mail,
/var/spool/mail and the directories in /etc/mlock.conf. The rest is in mlock(1).`

// check tells whether all is as it should be; 0 if so.
func check() (status int) {
	say := func(good bool, text string) {
		if !good {
			status, text = 1, "NOT "+text
		}
		fmt.Println(text)
	}
	say(setgidMail(), "set-group-id mail")
	const name = ".mlock-check.lock"
	for _, path := range spools() {
		dir, _ := openSpool(path + "/")
		fd, _ := try(dir, name)
		say(fd >= 0 && unix.Unlinkat(dir, name, 0) == nil, "able to lock in "+path)
	}
	return status
}
