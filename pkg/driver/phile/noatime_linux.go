package phile

import "syscall"

// noAtime opens a file without its access time being changed; only its owner
// may.
const noAtime = syscall.O_NOATIME
