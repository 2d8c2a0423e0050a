package deliver_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func namespace() *syscall.SysProcAttr { return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS} }

func asUser(id identity) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id.uid, Gid: id.gid}}
}

// disk is one file system that has the homes and the spool: links between them
// are possible by names below it.
const disk = "/mnt"

// makeWorld makes the file systems of the namespace. All that is written to
// /etc stays in it.
func makeWorld() error {
	if err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		return err
	}
	if err := syscall.Mount("world", disk, "tmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	for _, dir := range []string{"home", "mail", "etc", "work"} {
		if err := os.Mkdir(filepath.Join(disk, dir), 0o755); err != nil {
			return err
		}
	}
	if err := syscall.Mount("etc", "/etc", "overlay", 0, "lowerdir=/etc,upperdir="+disk+"/etc,workdir="+disk+"/work"); err != nil {
		return err
	}
	for path, text := range map[string]string{"/etc/passwd": passwd, "/etc/group": group, "/etc/c-client.cf": ""} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := syscall.Mount(disk+"/home", "/home", "", syscall.MS_BIND, ""); err != nil {
		return err
	}
	return syscall.Mount(disk+"/mail", "/var/mail", "", syscall.MS_BIND, "")
}

// mountOver puts a file over another until the test ends.
func mountOver(t testing.TB, file, path string) {
	t.Helper()
	must(t, syscall.Mount(file, path, "", syscall.MS_BIND, ""))
	t.Cleanup(func() { syscall.Unmount(path, syscall.MNT_DETACH) })
}

// mountLayer lays a directory over another until the test ends: its files come
// first, the others stay.
func mountLayer(t testing.TB, layer, path string) {
	t.Helper()
	must(t, syscall.Mount("layer", path, "overlay", syscall.MS_RDONLY, "lowerdir="+layer+":"+path))
	t.Cleanup(func() { syscall.Unmount(path, syscall.MNT_DETACH) })
}

// mountSmall puts a small file system over a directory until the test ends.
func mountSmall(t *testing.T, path, options string) {
	t.Helper()
	must(t, syscall.Mount("small", path, "tmpfs", 0, options))
	t.Cleanup(func() { syscall.Unmount(path, syscall.MNT_DETACH) })
}
