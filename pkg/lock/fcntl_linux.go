package lock

import "golang.org/x/sys/unix"

const (
	setlkCmd   = unix.F_OFD_SETLK
	fcntlApart = true // fcntl and flock locks do not see each other
)
