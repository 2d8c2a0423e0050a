package unix

import "syscall"

const noAtime = syscall.O_NOATIME
