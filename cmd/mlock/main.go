package main

import (
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	staleAge                            = 5 * time.Minute   // of a lock whose holder is gone or not known; also how long to wait for one
	lifetime                            = time.Hour         // of any lock
	config                              = "/etc/mlock.conf" // more spool directories, a line each
	exUsage, exCreate, exBusy, exNoPerm = 64, 73, 75, 77
)

const help = `usage: mlock FD PATH | --check | --help
Makes PATH.lock for mail programs that may not make files there: below /var/mail, /var/spool/mail
or a directory in /etc/mlock.conf. --check tells whether it can. To be installed so, see mlock(1):
	chgrp mail mlock && chmod 2755 mlock
	chgrp mail /var/mail && chmod 2775 /var/mail`

func main() {
	signal.Ignore() // all of them: the caller can close our input instead
	unix.Umask(0)
	os.Exit(run(append(os.Args, "", "", "")[1:], len(os.Args)-1))
}

func run(args []string, n int) int {
	at := strings.LastIndexByte(args[1], '/') + 1
	path, name := args[1][:at], args[1][at:]
	fd, badNumber := strconv.Atoi("0" + args[0])
	var box, named unix.Stat_t
	badFD := unix.Fstat(fd, &box)
	flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	dir, badDir := openSpool(path)
	badName := unix.Fstatat(dir, name, &named, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case n == 1 && args[0] == "--help":
		fmt.Println(help)
		return 0
	case n == 1 && args[0] == "--check":
		return check()
	case !setgidMail():
		return refuse(exUsage, "not setgid mail")
	case n != 2 || badNumber != nil:
		return refuse(exUsage, "invalid arguments")
	case path == "" || path[0] != '/' || name == "" || name == "." || name == "..":
		return refuse(exUsage, "invalid path")
	case badFD != nil:
		return refuse(int(badFD.(unix.Errno)), "fstat failure")
	case box.Mode&unix.S_IFMT != unix.S_IFREG:
		return refuse(exUsage, "fd not regular file")
	case badDir != nil:
		return refuse(exUsage, "not below a spool directory")
	case badName != nil:
		return refuse(int(badName.(unix.Errno)), "lstat failure")
	case named.Dev != box.Dev || named.Ino != box.Ino:
		return refuse(exUsage, "fd and name different")
	case flags&unix.O_ACCMODE == unix.O_RDONLY && int(box.Uid) != os.Getuid():
		return refuse(exNoPerm, "not the caller's mailbox")
	}
	return hold(dir, name+".lock")
}

// check tells whether all is as it should be; 0 if so.
func check() (status int) {
	say := func(good bool, text string) {
		if !good {
			status, text = 1, "NOT "+text
		}
		fmt.Println(text)
	}
	say(setgidMail(), "set-group-id mail")
	for _, path := range spools() {
		dir, _ := openSpool(path + "/")
		fd, _ := try(dir, ".mlock-check.lock")
		say(fd >= 0 && unix.Unlinkat(dir, ".mlock-check.lock", 0) == nil, "able to lock in "+path)
	}
	return status
}

// refuse answers that something is wrong with the call, and says it to the log.
func refuse(code int, text string) int {
	fd, _ := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	line := fmt.Sprintf("<21>mlock[%d]: (%d) %s, uid %d", os.Getpid(), code, text, os.Getuid()) // mail.notice
	_ = unix.Sendto(fd, []byte(line), unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: "/dev/log"})
	fmt.Print("?")
	return code
}

// hold takes the lock, and keeps it until the caller writes an octet or is gone.
func hold(dir int, name string) int {
	lock, code := try(dir, name)
	for end := time.Now().Add(staleAge); code == exBusy && time.Now().Before(end) && !input(5*time.Millisecond); {
		lock, code = try(dir, name)
	}
	if code == exNoPerm {
		return refuse(code, "existing lock not regular file")
	} else if code != 0 {
		fmt.Print("-")
		return exCreate
	}
	pid := os.Getppid() // the caller, unless it has left us to init
	if pid < 2 {
		pid = os.Getpid()
	}
	_, _ = unix.Write(lock, []byte(strconv.Itoa(pid)+"\n")) // the lock is as good without
	if _, err := fmt.Print("+"); err == nil {
		input(lifetime)
	}
	return remove(dir, name, lock)
}

// input reports whether an octet or the end of standard input comes in time.
func input(limit time.Duration) bool {
	end, n, err := time.Now().Add(limit), 0, error(unix.EINTR)
	for err == unix.EINTR {
		n, err = unix.Poll([]unix.PollFd{{Fd: 0, Events: unix.POLLIN}}, int(max(time.Until(end), 0).Milliseconds()))
	}
	return n != 0
}

// try makes the lock, exclusively. One that was left behind it removes, which is
// exBusy too: who do so keep off each other by flock on it, and look again then.
func try(dir int, name string) (lock, code int) {
	lock, err := unix.Openat(dir, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o664)
	if err == nil {
		return lock, 0
	} else if err != unix.EEXIST && err != unix.EINTR {
		return -1, exCreate
	}
	old, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT || err == unix.EINTR {
		return -1, exBusy
	}
	defer unix.Close(old)
	var st unix.Stat_t
	if unix.Fstat(old, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > 256 {
		return -1, exNoPerm
	}
	text := make([]byte, st.Size)
	_, _ = unix.Pread(old, text, 0)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	gone := pid < 2 || unix.Kill(pid, 0) == unix.ESRCH
	age := time.Since(time.Unix(st.Ctim.Unix()))
	if (age > lifetime || gone && age > staleAge) && unix.Flock(old, unix.LOCK_EX|unix.LOCK_NB) == nil {
		_ = remove(dir, name, old) // the next try says whether it is gone
	}
	return -1, exBusy
}

// remove removes a lock, if name still is the file fd.
func remove(dir int, name string, fd int) (code int) {
	var a, b unix.Stat_t
	is := unix.Fstat(fd, &a) == nil && unix.Fstatat(dir, name, &b, unix.AT_SYMLINK_NOFOLLOW) == nil && a.Dev == b.Dev && a.Ino == b.Ino
	if is && unix.Unlinkat(dir, name, 0) != nil {
		return exCreate
	}
	return 0
}

// openSpool opens a spool directory, or one below it, to where no link leads.
func openSpool(path string) (dir int, err error) {
	for _, spool := range spools() {
		below, ok := strings.CutPrefix(path, strings.TrimRight(spool, "/")+"/")
		if !ok || strings.Contains(below, "..") {
			continue
		}
		dir, err = unix.Open(spool, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		for _, name := range strings.FieldsFunc(below, func(r rune) bool { return r == '/' }) {
			if err == nil {
				dir, err = unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			}
		}
		return dir, err
	}
	return -1, unix.EPERM
}

// spools are the directories to lock in, by a file that only root can have written.
func spools() []string {
	var st unix.Stat_t
	text, _ := os.ReadFile(config)
	if unix.Lstat(config, &st) != nil || st.Uid != 0 || st.Mode&(unix.S_IFMT|unix.S_IWGRP|unix.S_IWOTH) != unix.S_IFREG {
		text = nil
	}
	return slices.DeleteFunc(strings.Fields("/var/mail /var/spool/mail "+string(text)), func(s string) bool { return s[0] != '/' })
}

func setgidMail() bool {
	g, err := user.LookupGroup("mail")
	return err == nil && g.Gid == strconv.Itoa(os.Getegid())
}
