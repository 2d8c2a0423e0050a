// Package spawn runs other programs: getent, id, mlock, a quota command, and a
// delivery agent for each of several recipients. It is what these need of os/exec,
// which with all that it can is 40,000 octets more of an agent.
package spawn

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// A Command is a program to be run.
type Command struct {
	Path  string        // looked for nowhere
	Args  []string      // behind the name of the program
	Env   []string      // nil stands for our own
	Dir   string        // "" stands for our own
	Files []*os.File    // descriptors 0, 1 and so on; nil and what is missing up to 2 stand for /dev/null
	Limit time.Duration // how long Output lets it run; 0 for as long as it wants
	Group bool          // it gets a process group of its own, so that no key at the terminal interrupts it
}

// Start runs the program. The caller waits for its end.
func (c Command) Start() (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close() // nothing is written to it
	files := make([]*os.File, max(len(c.Files), 3))
	copy(files, c.Files)
	for i := range files {
		if files[i] == nil {
			files[i] = null
		}
	}
	return os.StartProcess(c.Path, append([]string{c.Path}, c.Args...), &os.ProcAttr{
		Dir: c.Dir, Env: c.Env, Files: files, Sys: &syscall.SysProcAttr{Setpgid: c.Group},
	})
}

// leftBehind is how long the output is read after the end of a program: what it
// has started and left behind may hold it open for ever.
const leftBehind = time.Second

// Output runs the program, in a process group of its own, and returns what it
// writes to standard output, and, where both is set, to standard error; and how it
// ended. At the end of ctx, or of its time, it is killed with all that it has
// started. The error says that it could not be run, or not be waited for.
func (c Command) Output(ctx context.Context, both bool) ([]byte, *os.ProcessState, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer r.Close() // read only
	c.Group, c.Files = true, []*os.File{nil, w}
	if both {
		c.Files = append(c.Files, w)
	}
	p, err := c.Start()
	w.Close() // the program has its own
	if err != nil {
		return nil, nil, err
	}
	kill := func() { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }
	stop := context.AfterFunc(ctx, kill)
	var late *time.Timer
	if c.Limit > 0 {
		late = time.AfterFunc(c.Limit, kill)
	}
	var state *os.ProcessState
	var waiting error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		state, waiting = p.Wait()
		stop()
		if late != nil {
			late.Stop()
		}
		_ = r.SetReadDeadline(time.Now().Add(leftBehind)) // pipes have deadlines
	}()
	out, err := io.ReadAll(r)
	<-ended
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return out, state, errors.Join(err, waiting)
}
