//go:build !linux

package fsx

import "golang.org/x/sys/unix"

const dirFlags = unix.O_RDONLY
