package lock

import (
	"slices"

	"golang.org/x/sys/unix"
)

// remoteTypes are file systems that other hosts may share.
var remoteTypes = []uint32{
	unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC,
	unix.CODA_SUPER_MAGIC, unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC, unix.CEPH_SUPER_MAGIC,
	unix.OCFS2_SUPER_MAGIC, unix.V9FS_MAGIC, unix.FUSE_SUPER_MAGIC,
}

// remote reports whether path may be shared with other hosts, where process
// ids mean other processes. When in doubt it is.
func remote(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) != nil || slices.Contains(remoteTypes, uint32(st.Type))
}
