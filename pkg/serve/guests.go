package serve

import (
	"context"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"mailutil/pkg/internal/session"
)

// maxSessions is how many clients there may be.
const maxSessions = 100

// guests are the clients that are here now.
type guests struct {
	mu  sync.Mutex
	all map[*guest]bool
}

// A guest is one client.
type guest struct {
	conn net.Conn
	came time.Time

	mu     sync.Mutex
	inside bool                    // it has logged in
	holds  func() bool             // it has a mailbox that others can ask for
	end    context.CancelCauseFunc // ends it; nil: it has not begun
}

// enter lets a client in. Where there are too many, the one goes that has been
// trying to log in for the longest: connections that do nothing do not keep
// others out. It is false when all have logged in.
func (s *guests) enter(c net.Conn) (*guest, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= maxSessions && !s.makeRoom() {
		return nil, false
	}
	if s.all == nil {
		s.all = map[*guest]bool{}
	}
	g := &guest{conn: c, came: time.Now()}
	s.all[g] = true
	return g, true
}

// makeRoom sends the oldest away that has not logged in.
func (s *guests) makeRoom() bool {
	var oldest *guest
	for g := range s.all {
		if !g.isInside() && (oldest == nil || g.came.Before(oldest.came)) {
			oldest = g
		}
	}
	if oldest == nil {
		return false
	}
	oldest.conn.Close()
	delete(s.all, oldest)
	return true
}

func (s *guests) leave(g *guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, g)
}

func (g *guest) isInside() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside
}

// logIn says that the client has logged in.
func (g *guest) logIn() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside = true
}

// ask says how to find out whether the client can be asked to leave, and how
// to end it.
func (g *guest) ask(holds func() bool, end context.CancelCauseFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds, g.end = holds, end
}

// yield ends the sessions that hold a mailbox when another program asks for
// one, by SIGUSR2: the kiss of death. It does so until ctx ends.
func (s *guests) yield(ctx context.Context) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR2)
	go func() {
		defer signal.Stop(asked)
		for {
			select {
			case <-asked:
				s.kiss()
			case <-ctx.Done():
				return
			}
		}
	}()
}

func (s *guests) kiss() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for g := range s.all {
		g.mu.Lock()
		if g.end != nil && g.holds() {
			g.end(session.ErrLostLock)
		}
		g.mu.Unlock()
	}
}
