//go:build !linux

package lock

import "golang.org/x/sys/unix"

// remote reports whether path may be shared with other hosts, where process
// ids mean other processes. When in doubt it is.
func remote(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) != nil || uint64(st.Flags)&unix.MNT_LOCAL == 0
}
