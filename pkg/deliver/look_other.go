//go:build !linux

package deliver

import "golang.org/x/sys/unix"

const lookFlags = unix.O_RDONLY
