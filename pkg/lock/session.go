package lock

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// askTime is how long a session that is asked to leave may take.
const askTime = 15 * time.Second

// A Session is the session lock of a read-write session on f: Temp with our
// process id in it.
type Session struct {
	lock  Held
	since int // number of asks before it began
}

// TakeSession takes the session lock. A holder who can be asked is asked to
// leave by SIGUSR2 once, and given 15 s, or Options.Timeout when that is less
// and not 0; then, or at once when nobody can be asked, the error is a
// *BusyError. A silent session leaves the lock file empty, neither asks nor
// waits, and cannot be asked. A negative Options.Timeout neither asks nor
// waits either.
//
// From the first session on the process does not die of SIGUSR2 any more.
func TakeSession(ctx context.Context, f *os.File, silent bool, o Options) (*Session, error) {
	asks.count() // from now on we can be asked
	atOnce := o
	atOnce.Timeout = -1
	t, err := takeTemp(ctx, f, Exclusive, atOnce)
	if errors.Is(err, ErrBusy) && !silent && o.Timeout >= 0 && askToLeave(f, o) {
		o.Timeout = min(o.timeout(), askTime)
		t, err = takeTemp(ctx, f, Exclusive, o)
	}
	if err != nil {
		return nil, err
	}
	return begin(t, silent)
}

// deliveryTime is how long a delivery of the original is waited for.
const deliveryTime = 2 * time.Second

// TakeSilent takes the session lock as a silent session, but waits two seconds for
// it, or Options.Timeout when that is less and not 0: the original's deliveries have
// it for a moment, its sessions as long as somebody reads.
func TakeSilent(ctx context.Context, f *os.File, o Options) (*Session, error) {
	if o.Timeout >= 0 {
		o.Timeout = min(o.timeout(), deliveryTime)
	}
	t, err := takeTemp(ctx, f, Exclusive, o)
	if err != nil {
		return nil, err
	}
	return begin(t, true)
}

// begin is called with the lock taken.
func begin(t *temp, silent bool) (*Session, error) {
	since := asks.count()
	if err := t.sign(silent); err != nil {
		return nil, errors.Join(err, t.release())
	}
	return &Session{held(t.release), since}, nil
}

// Asked reports whether somebody has asked us to leave. The owner should then
// finish what it is doing and Release. A signal does not say which session it
// means, so all sessions of the process are asked.
func (s *Session) Asked() bool { return asks.count() > s.since }

// Release gives the lock up and removes its file.
func (s *Session) Release() error { return s.lock.Release() }

// sign writes our process id into the lock file, without a newline, or
// nothing.
func (t *temp) sign(silent bool) error {
	if err := t.f.Truncate(0); err != nil || silent {
		return err
	}
	_, err := t.f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return err
}

// askToLeave sends SIGUSR2 to the process that is named in the lock file of f,
// and reports whether it did.
func askToLeave(f *os.File, o Options) bool {
	st, err := stat(f)
	if err != nil {
		return false
	}
	name := tempName(st, o.Dir)
	pid := pidIn(name)
	if pid == 0 || pid == os.Getpid() || !believable(name, pid) {
		return false
	}
	if unix.Kill(pid, unix.SIGUSR2) != nil {
		return false
	}
	o.say("Trying to get mailbox lock from process %d", pid)
	return true
}

// believable reports whether process pid may have the lock called name.
// Everybody may write into such a file, and SIGUSR2 kills most programs: a
// process that the system names as holder must be the same, and root asks
// none but such.
func believable(name string, pid int) bool {
	var st unix.Stat_t
	if unix.Lstat(name, &st) != nil {
		return false
	}
	known := kernelHolders(st, "FLOCK")
	if len(known) == 0 {
		return os.Geteuid() != 0
	}
	return slices.ContainsFunc(known, func(h Holder) bool { return h.PID == pid })
}

// asks counts the SIGUSR2 that came.
var asks signalCount

// A signalCount is never stopped: one who has read our process id may send
// the signal after our session has ended, and must not kill us.
type signalCount struct {
	mu sync.Mutex
	c  chan os.Signal
	n  int
}

// count returns how many have come, from the first call on. Signals that come
// together may count as one.
func (s *signalCount) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c == nil {
		s.c = make(chan os.Signal, 1)
		signal.Notify(s.c, unix.SIGUSR2)
	}
	select {
	case <-s.c:
		s.n++
	default:
	}
	return s.n
}
