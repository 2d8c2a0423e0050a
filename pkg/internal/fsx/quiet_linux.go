package fsx

import "syscall"

const noAtime = syscall.O_NOATIME
