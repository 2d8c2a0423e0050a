package fsx

import "syscall"

const NoAtime = syscall.O_NOATIME
