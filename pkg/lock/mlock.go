package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"mailutil/pkg/internal/spawn"
)

const (
	// mlockReply is the least time that mlock has for its answer, also when
	// we are not to wait: it answers at once when the lock is free.
	mlockReply = 5 * time.Second
	// mlockLeave is the time that mlock has to remove its lock.
	mlockLeave = 10 * time.Second
)

// borrowed reports whether the process began with rights that its caller has
// not.
var borrowed = os.Getuid() != os.Geteuid() || os.Getgid() != os.Getegid()

// mlockPaths returns where mlock may be: the places of the original, those
// below /usr/local, beside the program that runs, and where Debian has that of
// the original, which leaves its lock behind when its caller is killed. Beside
// the program does not count where it is set-uid: others may give it a second
// name, beside a program of theirs.
func mlockPaths() []string {
	paths := []string{
		"/usr/libexec/mlock", "/usr/sbin/mlock", "/etc/mlock",
		"/usr/local/libexec/mlock", "/usr/local/sbin/mlock", "/usr/local/bin/mlock",
	}
	if exe, err := os.Executable(); err == nil && !borrowed {
		paths = append(paths, filepath.Join(filepath.Dir(exe), "mlock"))
	}
	return append(paths, "/usr/bin/mlock")
}

// ask takes the lock by mlock, which may create files where we may not. It
// does so only when the lock seems to be free, so that the waiting is ours.
func (d dot) ask(ctx context.Context, f *os.File, name string) (Held, error) {
	free, err := d.free(name)
	if !free || err != nil {
		return nil, err
	}
	if prog := firstFile(d.helpers); prog != "" {
		got, answer := d.runMlock(ctx, prog, f, name)
		if got != nil || answer == 0 {
			return got, nil
		}
		if free, err := d.free(name); !free || err != nil {
			return nil, err // another was quicker
		}
	}
	return d.without("directory %s must have 1777 protection", filepath.Dir(name)), nil
}

// firstFile returns the first of the names that is a regular file with a
// set-group-id bit, without which it can do no more than we; else the first
// regular file, or "".
func firstFile(names []string) string {
	first := ""
	for _, name := range names {
		fi, err := os.Stat(name)
		switch {
		case err != nil || !fi.Mode().IsRegular():
		case fi.Mode()&os.ModeSetgid != 0:
			return name
		case first == "":
			first = name
		}
	}
	return first
}

// free reports whether nobody has the lock, or it is so old that mlock will
// seize it.
func (d dot) free(name string) (bool, error) {
	var st unix.Stat_t
	if unix.Lstat(name, &st) != nil {
		return true, nil
	}
	return d.seizable(name, st, time.Now()) != "", lockFile(name, st)
}

// mlock is the program while it has a lock for us.
type mlock struct {
	path string
	proc *os.Process
	in   *os.File // it lets the lock go when it reads an octet or the end
	out  *os.File // its answer
}

// runMlock asks prog for the lock. Its answer is '+' when it has it, '-' when
// another has it, '?' when something is wrong; 0 stands for none in time.
func (d dot) runMlock(ctx context.Context, prog string, f *os.File, name string) (Held, byte) {
	p, err := startMlock(prog, f)
	if err != nil {
		d.o.say("%s does not start: %v", prog, cause(err))
		return nil, '?'
	}
	switch answer := p.answer(ctx, max(d.o.timeout(), mlockReply)); answer {
	case '+':
		return held(func() error { return p.release(name) }), answer
	case 0:
		go p.leave() // it may yet get the lock
		return nil, answer
	default:
		p.leave()
		return nil, answer
	}
}

// startMlock runs "mlock FD PATH". A process group of its own keeps an
// interrupt at the terminal from killing it with the lock in its hand.
func startMlock(prog string, f *os.File) (*mlock, error) {
	if !filepath.IsAbs(f.Name()) { // names of mailboxes are
		return nil, fmt.Errorf("%s is no absolute name", f.Name())
	}
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer childIn.Close()
	out, childOut, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	defer childOut.Close()
	cmd := spawn.Command{
		Path: prog, Args: []string{"3", f.Name()},
		Files: []*os.File{childIn, childOut, nil, f},
		Group: true,
	}
	p, err := cmd.Start()
	if err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	return &mlock{prog, p, in, out}, nil
}

// answer reads the answer, 0 when there is none in time. An end without an
// answer is '?'.
func (p *mlock) answer(ctx context.Context, limit time.Duration) byte {
	p.out.SetReadDeadline(time.Now().Add(limit))
	stop := context.AfterFunc(ctx, func() { p.out.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var b [1]byte
	_, err := p.out.Read(b[:])
	switch {
	case err == nil:
		return b[0]
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0
	}
	return '?'
}

// release lets the lock go, and waits until it is gone.
func (p *mlock) release(name string) error {
	p.in.Write([]byte("+")) // that it does not read it shows in its status
	p.in.Close()
	p.out.SetReadDeadline(time.Now().Add(mlockLeave))
	if err := drain(p.out); err != nil { // it may write words
		go p.leave()
		return fmt.Errorf("%s does not give up %s", p.path, name)
	}
	p.out.Close()
	end, err := p.proc.Wait()
	if err == nil && !end.Success() {
		err = errors.New(end.String())
	}
	if err != nil {
		return fmt.Errorf("%s may have left %s behind: %w", p.path, name, err)
	}
	return nil
}

// leave has no more use for mlock, and waits for its end. What it writes is
// read until then, lest a signal kills it between two steps.
func (p *mlock) leave() {
	p.in.Close()
	p.out.SetReadDeadline(time.Time{})
	_ = drain(p.out)
	p.out.Close()
	_, _ = p.proc.Wait()
}

// drain reads f to its end.
func drain(f *os.File) error {
	buf := make([]byte, 512)
	for {
		_, err := f.Read(buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
