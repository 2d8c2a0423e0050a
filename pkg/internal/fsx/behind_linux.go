package fsx

import "golang.org/x/sys/unix"

// startWriteback asks the system to begin writing n octets of f to the disk, 0
// for all from off on, and does not wait. It is no promise of any kind: Sync is.
func startWriteback(f File, off, n int64) {
	unix.SyncFileRange(int(f.OS().Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}
