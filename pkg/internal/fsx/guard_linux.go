package fsx

import "golang.org/x/sys/unix"

const dirFlags = unix.O_PATH // a directory need not be readable
