package ops_test

import "syscall"

const noAtime = syscall.O_NOATIME
