package deliver

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"mailutil/pkg/exit"
)

// A process is the signals and limits of a delivery.
type process struct {
	ctx    context.Context // ends with the first signal that asks us to end
	begun  atomic.Bool     // a mailbox is being written to: no more sudden ends
	status exit.Status     // of a sudden end
}

// newProcess puts the signals in order. Until begin a signal that ends ends at
// once: nothing has been changed, and the mail system keeps the message. From
// then on it only ends waiting. A closed pipe and a limit of size are errors
// of the write, and SIGUSR2, by which sessions of the original ask for a
// mailbox, is for a session: none of them ends anything.
func newProcess() *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{ctx: ctx, status: exit.TempFail}
	ends := make(chan os.Signal, 1)
	for _, s := range []os.Signal{
		unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGALRM, unix.SIGVTALRM, unix.SIGUSR1, unix.SIGXCPU,
	} {
		if !signal.Ignored(s) {
			signal.Notify(ends, s)
		}
	}
	go func() {
		<-ends
		if !p.begun.Load() {
			os.Exit(int(p.status))
		}
		cancel()
	}()
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, unix.SIGPIPE, unix.SIGXFSZ, unix.SIGUSR2)
	return p
}

// begin is called before the first file is changed. The context has ended
// where a signal came meanwhile.
func (p *process) begin() { p.begun.Store(true) }

// setID reports whether the process has rights that its caller has not.
func setID() bool { return os.Getuid() != os.Geteuid() || os.Getgid() != os.Getegid() }

// shield makes what a caller has left to us harmless: environment, working
// directory, mask of modes, and, where we have other rights than the caller,
// the limits by which a write could be stopped half way.
func shield() {
	os.Clearenv()
	_ = unix.Chdir("/") // no name of ours is relative
	unix.Umask(0o077)
	if !setID() || os.Geteuid() != 0 {
		return // the mail system's limits are its will
	}
	infinite := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	for _, l := range []int{unix.RLIMIT_FSIZE, unix.RLIMIT_CPU, unix.RLIMIT_AS, unix.RLIMIT_DATA, unix.RLIMIT_NPROC} {
		_ = unix.Setrlimit(l, &infinite)
	}
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: minFiles, Max: minFiles})
}

// minFiles is how many files a delivery may need at most.
const minFiles = 1024
