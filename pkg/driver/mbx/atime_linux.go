package mbx

import "syscall"

const noAtime = syscall.O_NOATIME
