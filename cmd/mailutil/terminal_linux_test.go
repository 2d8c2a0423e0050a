package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// newTerminal returns both ends of a new terminal of 80 columns.
func newTerminal() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = errors.Join(
			unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0),
			unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, nil, errors.Join(err, master.Close())
	}
	return master, slave, nil
}

// playOnTerminal runs a command of a session with its output on a terminal.
func playOnTerminal(command, home string) (string, error) {
	master, slave, err := newTerminal()
	if err != nil {
		return "", err
	}
	defer master.Close()
	cmd := shell(command, home)
	cmd.Stdout, cmd.Stderr = slave, slave
	err = cmd.Start()
	slave.Close()
	if err != nil {
		return "", err
	}
	shown, _ := io.ReadAll(master) // ends with an error when the terminal is gone
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return "", err
	}
	text := strings.ReplaceAll(string(shown), "\r\n", "\n")
	return marked("t> ", text, home) + fmt.Sprintf("exit %d\n", cmd.ProcessState.ExitCode()), nil
}
