package main

import (
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	staleAge                    = 5 * time.Minute      // of a lock whose holder is gone or not known; also how long to wait for one
	lifetime                    = time.Hour            // of any lock
	pause                       = 5 * time.Millisecond // between two tries
	config                      = "/etc/mlock.conf"    // more spool directories, a line each
	exUsage, exCreate, exNoPerm = 64, 73, 77
)

func main() {
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGPIPE, unix.SIGALRM, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2,
		unix.SIGXCPU, unix.SIGXFSZ, unix.SIGVTALRM, unix.SIGPROF) // the caller can close our input instead
	unix.Umask(0)
	os.Exit(run(append(os.Args, "", "", "")[1:], len(os.Args)-1))
}

func run(args []string, n int) int {
	if n == 1 && args[0] == "--help" {
		fmt.Println(help)
		return 0
	} else if n == 1 && args[0] == "--check" {
		return check()
	}
	at := strings.LastIndexByte(args[1], '/') + 1
	path, name := args[1][:at], args[1][at:]
	fd, badNumber := strconv.Atoi("0" + args[0])
	var box, named unix.Stat_t
	badFD := unix.Fstat(fd, &box)
	flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	dir, badDir := openSpool(path)
	badName := unix.Fstatat(dir, name, &named, unix.AT_SYMLINK_NOFOLLOW)
	for _, c := range []struct {
		bad  bool
		code int
		text string
	}{
		{!setgidMail(), exUsage, "not setgid mail"},
		{n != 2, exUsage, "invalid arguments"},
		{badNumber != nil, exUsage, "invalid fd"},
		{path == "" || path[0] != '/' || name == "" || name == "." || name == "..", exUsage, "invalid path"},
		{badFD != nil, errno(badFD), "fstat failure"},
		{box.Mode&unix.S_IFMT != unix.S_IFREG, exUsage, "fd not regular file"},
		{badDir != nil, exUsage, "not below a spool directory"},
		{badName != nil, errno(badName), "lstat failure"},
		{named.Mode&unix.S_IFMT != unix.S_IFREG, exUsage, "name not regular file"},
		{named.Dev != box.Dev || named.Ino != box.Ino, exUsage, "fd and name different"},
		{flags&unix.O_ACCMODE == unix.O_RDONLY && int(box.Uid) != os.Getuid(), exNoPerm, "not the caller's mailbox"},
	} {
		if c.bad {
			return refuse(c.code, c.text)
		}
	}
	return hold(dir, name+".lock")
}

func errno(err error) int {
	e, _ := err.(unix.Errno)
	return int(e)
}

// refuse answers that something is wrong with the call, and says it to the log.
func refuse(code int, text string) int {
	fd, _ := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	line := fmt.Sprintf("<21>mlock[%d]: (%d) %s, uid %d", os.Getpid(), code, text, os.Getuid()) // mail.notice
	_ = unix.Sendto(fd, []byte(line), unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: "/dev/log"})
	fmt.Print("?")
	return code
}

// hold takes the lock, says so, and keeps it until the caller writes an octet
// or goes away.
func hold(dir int, name string) int {
	lock, code := try(dir, name)
	for end := time.Now().Add(staleAge); lock < 0 && code == 0; lock, code = try(dir, name) {
		if input(pause) || time.Now().After(end) {
			code = exCreate
			break
		}
	}
	if code == exNoPerm {
		return refuse(code, "existing lock not regular file")
	} else if code != 0 {
		fmt.Print("-")
		return code
	}
	pid := os.Getppid() // the caller, unless it has left us to init
	if pid < 2 {
		pid = os.Getpid()
	}
	_, _ = unix.Write(lock, []byte(strconv.Itoa(pid)+"\n")) // the lock is as good without
	if _, err := fmt.Print("+"); err == nil {
		input(lifetime)
	}
	if is(dir, name, lock) && unix.Unlinkat(dir, name, 0) != nil {
		return exCreate
	}
	return 0
}

// input reports whether an octet or the end of standard input comes in time.
func input(limit time.Duration) bool {
	end, n, err := time.Now().Add(limit), 0, error(unix.EINTR)
	for err == unix.EINTR {
		n, err = unix.Poll([]unix.PollFd{{Fd: 0, Events: unix.POLLIN}}, int(max(time.Until(end), 0).Milliseconds()))
	}
	return n != 0
}

// try makes the lock, exclusively; -1 and no code where another has it.
func try(dir int, name string) (fd, code int) {
	fd, err := unix.Openat(dir, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o664)
	if err == unix.EEXIST || err == unix.EINTR {
		return -1, override(dir, name)
	} else if err != nil {
		return -1, exCreate
	}
	return fd, 0
}

// override removes a lock that was left behind. Those who do so keep each
// other off by flock on it, and look again under that: a fresh lock stays.
func override(dir int, name string) (code int) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return 0
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > 256 {
		return exNoPerm
	}
	text := make([]byte, 256)
	n, _ := unix.Pread(fd, text, 0)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text[:max(n, 0)])))
	gone := pid < 2 || unix.Kill(pid, 0) == unix.ESRCH
	age := time.Since(time.Unix(st.Ctim.Unix()))
	old := age > lifetime || gone && age > staleAge
	if old && unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil && is(dir, name, fd) {
		_ = unix.Unlinkat(dir, name, 0) // the next try says whether it is gone
	}
	return 0
}

// is reports whether name still is the file fd.
func is(dir int, name string, fd int) bool {
	var a, b unix.Stat_t
	return unix.Fstat(fd, &a) == nil && unix.Fstatat(dir, name, &b, unix.AT_SYMLINK_NOFOLLOW) == nil && a.Dev == b.Dev && a.Ino == b.Ino
}

// openSpool opens the directory of a mailbox, which is a spool directory or
// below one. Only the administrator's own path may have links in it.
func openSpool(path string) (int, error) {
	for _, spool := range spools() {
		if !strings.HasPrefix(path, spool+"/") || strings.Contains(path, "..") {
			continue
		}
		dir, err := unix.Open(spool, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		for _, name := range strings.FieldsFunc(path[len(spool):], func(r rune) bool { return r == '/' }) {
			if err == nil {
				dir, err = unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			}
		}
		return dir, err
	}
	return -1, unix.EPERM
}

// spools are the directories to lock in. The configuration counts only where
// nobody but root can have written it.
func spools() []string {
	dirs := []string{"/var/mail", "/var/spool/mail"}
	var st unix.Stat_t
	if unix.Lstat(config, &st) == nil && st.Uid == 0 && st.Mode&(unix.S_IFMT|unix.S_IWGRP|unix.S_IWOTH) == unix.S_IFREG {
		text, _ := os.ReadFile(config)
		for _, line := range strings.Fields(string(text)) {
			if line = strings.TrimRight(line, "/"); strings.HasPrefix(line, "/") {
				dirs = append(dirs, line)
			}
		}
	}
	return dirs
}

func setgidMail() bool {
	g, err := user.LookupGroup("mail")
	return err == nil && g.Gid == strconv.Itoa(os.Getegid())
}
