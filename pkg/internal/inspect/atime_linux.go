package inspect

import "syscall"

const noAtime = syscall.O_NOATIME
