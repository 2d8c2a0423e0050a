package fsx

import "syscall"

// NoAtime opens a file without its access time being changed; only its owner may.
// It is 0 where there is no such thing.
const NoAtime = syscall.O_NOATIME
