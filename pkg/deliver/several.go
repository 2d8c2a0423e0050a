package deliver

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"mailutil/pkg/exit"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/spawn"
)

// each runs the program again for every recipient, as an identity can be taken
// on only once, and returns the worst status.
func (a *Agent) each(recipients []string) exit.Status {
	text, err := keep(a.in)
	if err != nil {
		return a.fail(err)
	}
	defer text.Close() // it has no name
	worst := exit.OK
	for _, r := range recipients {
		status := exit.TempFail
		if a.proc.ctx.Err() == nil {
			status = a.again(r, text)
		}
		worst = exit.Worst(worst, status)
	}
	if worst == exit.OK {
		a.log.say(levelDebug, "all recipients delivered")
	} else {
		a.log.say(levelDebug, "error in delivery")
	}
	return worst
}

// keep puts a message into a file without a name.
func keep(in io.Reader) (*os.File, error) {
	f, err := fsx.Unnamed("/tmp")
	if err != nil {
		return nil, err
	}
	if _, err := fsx.Copy(f, in, nil); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// again runs the program for one recipient. A signal that ends us is passed
// on, and its outcome awaited.
func (a *Agent) again(recipient string, text *os.File) exit.Status {
	a.proc.begin()
	if _, err := text.Seek(0, io.SeekStart); err != nil {
		return a.fail(err)
	}
	cmd := spawn.Command{
		Path: self(), Args: append(a.Again, "--", recipient),
		Files: []*os.File{text, nil, os.Stderr},
	}
	p, err := cmd.Start()
	if err != nil {
		return a.fail(err)
	}
	stop := context.AfterFunc(a.proc.ctx, func() { _ = p.Signal(unix.SIGTERM) })
	defer stop()
	end, err := p.Wait()
	switch {
	case err != nil:
		return a.fail(err)
	case end.Exited():
		return known(exit.Status(end.ExitCode()))
	}
	return a.fail(errors.New(end.String())) // killed
}

// known makes TempFail of a status that is none of ours.
func known(s exit.Status) exit.Status {
	switch s {
	case exit.OK, exit.Usage, exit.NoUser, exit.CantCreate:
		return s
	}
	return exit.TempFail
}

// self is the program that runs: on Linux the very file, whatever its name is
// by now.
func self() string {
	const link = "/proc/self/exe"
	if _, err := os.Lstat(link); err == nil {
		return link
	}
	name, err := os.Executable()
	if err != nil {
		return link // starting it fails, in plain words
	}
	return name
}
