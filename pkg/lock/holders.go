package lock

import (
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Holders says who holds locks on the file at path, by /proc/locks and the
// content of lock files; best effort. Outside Linux only processes that write
// themselves into their lock files are known.
func Holders(path string, o Options) []Holder {
	var all []Holder
	if _, err := os.Lstat(dotName(path)); err == nil {
		all = append(all, dotHolder(dotName(path)))
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err == nil {
		all = append(all, kernelHolders(st)...)
		all = append(all, tempHolders(tempName(st, o.Dir))...)
	}
	return unique(all)
}

// dotHolder returns who has the dot lock called name.
func dotHolder(name string) Holder {
	var st unix.Stat_t
	if unix.Lstat(name, &st) != nil {
		return Holder{}
	}
	pid := pidIn(name)
	return Holder{pid, command(pid), max(time.Since(changed(st)), 0)}
}

// tempHolders returns who has the Temp lock called name.
func tempHolders(name string) []Holder {
	var st unix.Stat_t
	if unix.Lstat(name, &st) != nil {
		return nil
	}
	if all := kernelHolders(st); len(all) > 0 {
		return all
	}
	pid := pidIn(name)
	if pid == 0 || gone(pid) {
		return nil
	}
	return []Holder{{PID: pid, Command: command(pid)}}
}

// firstOf returns the first holder that has a process id.
func firstOf(all []Holder) Holder {
	for _, h := range all {
		if h.PID != 0 {
			return h
		}
	}
	return Holder{}
}

// unique drops later holders with the process id of an earlier one.
func unique(all []Holder) []Holder {
	seen := map[int]bool{}
	var out []Holder
	for _, h := range all {
		if h.PID == 0 || !seen[h.PID] {
			out = append(out, h)
		}
		seen[h.PID] = true
	}
	return out
}

// maxLockSize is how large a lock file may be, in octets: those of other
// programs hold a process id, and perhaps a host name. A larger file is no
// lock file.
const maxLockSize = 256

// pidIn returns the process id in the lock file called name, 0 when there is
// none.
func pidIn(name string) int {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLockSize))
	if err != nil {
		return 0
	}
	return parsePID(string(text))
}

// parsePID returns the process id that is all of text but for blanks around
// it, 0 for any other text and for ids below 2, which nobody can mean.
func parsePID(text string) int {
	text = strings.TrimSpace(text)
	if strings.Trim(text, "0123456789") != "" {
		return 0
	}
	pid, err := strconv.ParseInt(text, 10, 32)
	if err != nil || pid < 2 {
		return 0
	}
	return int(pid)
}

// gone reports whether there is no process pid on this host.
func gone(pid int) bool { return unix.Kill(pid, 0) == unix.ESRCH }

// stat is fstat.
func stat(f *os.File) (st unix.Stat_t, err error) {
	err = control(f, func(fd int) error { return unix.Fstat(fd, &st) })
	return st, err
}

// changed is the ctime, which no program can set back.
func changed(st unix.Stat_t) time.Time { return time.Unix(st.Ctim.Unix()) }

// same reports whether a and b are one file.
func same(a, b unix.Stat_t) bool { return a.Dev == b.Dev && a.Ino == b.Ino }

// is reports whether the file called name is st.
func is(name string, st unix.Stat_t) bool {
	var now unix.Stat_t
	return unix.Lstat(name, &now) == nil && same(now, st)
}
