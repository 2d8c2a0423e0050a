package flocked

import "syscall"

const noAtime = syscall.O_NOATIME
