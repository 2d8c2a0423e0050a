package deliver_test

import (
	"os"
	"path/filepath"
	"syscall"
)

func namespace() *syscall.SysProcAttr { return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS} }

func asUser(id identity) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id.uid, Gid: id.gid}}
}

// makeWorld makes the file systems of the namespace.
func makeWorld() error {
	if err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		return err
	}
	for path, text := range map[string]string{"/etc/passwd": passwd, "/etc/group": group, "/etc/c-client.cf": ""} {
		file := filepath.Join(bin, filepath.Base(path))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
		if !exists(path) {
			continue
		}
		if err := syscall.Mount(file, path, "", syscall.MS_BIND, ""); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/home", "/var/mail"} {
		if err := syscall.Mount("world", dir, "tmpfs", 0, "mode=0755"); err != nil {
			return err
		}
	}
	return nil
}
