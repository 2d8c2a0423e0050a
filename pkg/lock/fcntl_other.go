//go:build !linux

package lock

import "golang.org/x/sys/unix"

const (
	setlkCmd   = unix.F_SETLK
	fcntlApart = false // BSD systems let fcntl and flock locks exclude each other
)
