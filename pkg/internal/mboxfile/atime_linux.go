package mboxfile

import "syscall"

const noAtime = syscall.O_NOATIME
