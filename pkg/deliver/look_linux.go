package deliver

import "golang.org/x/sys/unix"

const lookFlags = unix.O_PATH // a directory need not be readable
