package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A session is commands and what they print:
//
//	# a remark
//	$ command for the shell
//	1> a line of its standard output
//	2> a line of its standard error
//	exit 1
//	% command with a terminal of 80 columns
//	t> a line on the terminal
//
// Each begins in the home directory. What differs from run to run is written
// as $HOME, $SPOOL, <HOST>, <CTIME>, <NOW>, <UIDV> and <HEXV>. A last line
// without a line end is followed by "1> <no newline at end>".

// playSession runs the commands of a session and returns it with the output
// that they really have.
func playSession(session, home string) (string, error) {
	var out strings.Builder
	for _, line := range strings.SplitAfter(session, "\n") {
		switch {
		case strings.HasPrefix(line, "$ "):
			result, err := playCommand(strings.TrimSuffix(line[2:], "\n"), home)
			if err != nil {
				return "", err
			}
			out.WriteString(line + result)
		case strings.HasPrefix(line, "% "):
			result, err := playOnTerminal(strings.TrimSuffix(line[2:], "\n"), home)
			if err != nil {
				return "", err
			}
			out.WriteString(line + result)
		case strings.HasPrefix(line, "t> "), strings.HasPrefix(line, "1> "), strings.HasPrefix(line, "2> "), strings.HasPrefix(line, "exit "):
		default:
			out.WriteString(line)
		}
	}
	return out.String(), nil
}

func playCommand(command, home string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := shell(command, home)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		return "", err
	}
	return marked("1> ", stdout.String(), home) + marked("2> ", stderr.String(), home) +
		fmt.Sprintf("exit %d\n", cmd.ProcessState.ExitCode()), nil
}

// shell returns a command that runs in the home directory as a plain user.
func shell(command, home string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Dir = home
	cmd.Env = []string{
		"HOME=" + home, "SPOOL=" + filepath.Join(filepath.Dir(home), "spool"), "TZ=UTC", "LC_ALL=C",
		"PATH=" + programDir + ":" + os.Getenv("PATH"),
	}
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: plainUID, Gid: plainGID}}
	}
	return cmd
}

// marked puts mark before each line and names what differs from run to run.
func marked(mark, text, home string) string {
	if text == "" {
		return ""
	}
	text = mask(text, home)
	rest, ended := strings.CutSuffix(text, "\n")
	text = mark + strings.ReplaceAll(rest, "\n", "\n"+mark) + "\n"
	if !ended {
		text += mark + "<no newline at end>\n"
	}
	return text
}

var (
	hosts    = regexp.MustCompile(`@hh\b`)
	numbers  = regexp.MustCompile(`\b[0-9]{10}\b`)
	hexes    = regexp.MustCompile(`\b[0-9a-f]{8}`)
	ages     = regexp.MustCompile(` since [0-9]{1,2} s\b|,"seconds":[0-9]{1,2}\b`) // of locks, on a slow machine
	mixFiles = regexp.MustCompile(`\.mix[0-9a-f]{8}\b`)
	ctimes   = regexp.MustCompile(`[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d \d{4}`)
	rfcs     = regexp.MustCompile(`([A-Z][a-z]{2}, {1,2})?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000( \(UTC\))?`)
)

// mask names what differs from run to run. Only times of today count.
func mask(text, home string) string {
	text = strings.ReplaceAll(text, home, "$HOME")
	text = strings.ReplaceAll(text, filepath.Join(filepath.Dir(home), "spool"), "$SPOOL")
	text = strings.ReplaceAll(text, "\r", `\r`)
	text = strings.ReplaceAll(text, "\x01", `\x01`)
	text = hosts.ReplaceAllString(text, "@<HOST>")
	text = replaceNow(text, numbers, "<UIDV>", func(s string) (time.Time, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		return time.Unix(n, 0), err
	})
	text = replaceNow(text, hexes, "<HEXV>", func(s string) (time.Time, error) {
		n, err := strconv.ParseInt(s, 16, 64)
		return time.Unix(n, 0), err
	})
	text = ages.ReplaceAllString(text, "")
	text = mixFiles.ReplaceAllString(text, ".mix<HEXV>")
	text = replaceNow(text, ctimes, "<CTIME>", func(s string) (time.Time, error) { return time.Parse(time.ANSIC, s) })
	return replaceNow(text, rfcs, "<NOW>", func(s string) (time.Time, error) {
		if _, day, ok := strings.Cut(s, ","); ok {
			s = strings.TrimLeft(day, " ")
		}
		return time.Parse("_2 Jan 2006 15:04:05 +0000", strings.TrimSuffix(s, " (UTC)"))
	})
}

func replaceNow(text string, re *regexp.Regexp, by string, parse func(string) (time.Time, error)) string {
	return re.ReplaceAllStringFunc(text, func(s string) string {
		when, err := parse(s)
		if err != nil || time.Since(when).Abs() > 24*time.Hour {
			return s
		}
		return by
	})
}

func diff(want, got string) string {
	return cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n"))
}
