package lock

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kernelHolders returns who has locks of the kinds on the file st, by
// /proc/locks; of any kind when none is given.
func kernelHolders(st unix.Stat_t, kinds ...string) []Holder {
	f, err := os.Open("/proc/locks")
	if err != nil {
		return nil
	}
	defer f.Close()
	var all []Holder
	for _, pid := range readLocks(f, st, kinds) {
		all = append(all, Holder{PID: pid, Command: command(pid)})
	}
	return unique(all)
}

// readLocks returns the process ids in the lines of /proc/locks for st:
//
//	1: FLOCK  ADVISORY  WRITE 4711 fe:00:264711 0 EOF
//
// A line with "->" before the kind is a process that waits. Open-file locks
// have no process and say -1.
func readLocks(r io.Reader, st unix.Stat_t, kinds []string) []int {
	var pids []int
	eachLock(r, st, func(kind string, pid int) {
		if pid > 0 && (len(kinds) == 0 || slices.Contains(kinds, kind)) {
			pids = append(pids, pid)
		}
	})
	return pids
}

// eachLock calls do for each lock on the file st.
func eachLock(r io.Reader, st unix.Stat_t, do func(kind string, pid int)) {
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	text, err := io.ReadAll(r)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		w := strings.Fields(line)
		if len(w) < 6 || w[5] != file {
			continue
		}
		if pid, err := strconv.ParseInt(w[4], 10, 32); err == nil {
			do(w[1], int(pid))
		}
	}
}

// kernelLocks returns the locks on the file st, as Survey calls them.
func kernelLocks(st unix.Stat_t) (all []Lock) {
	f, err := os.Open("/proc/locks")
	if err != nil {
		return nil
	}
	defer f.Close()
	eachLock(f, st, func(kind string, pid int) {
		l := Lock{Kind: "fcntl", Holder: Holder{PID: max(pid, 0), Command: command(max(pid, 0))}}
		if kind == "FLOCK" {
			l.Kind = "flock"
		}
		all = append(all, l)
	})
	return all
}

// command returns the name of the program that pid runs, "" when unknown.
func command(pid int) string {
	if pid == 0 {
		return ""
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}
