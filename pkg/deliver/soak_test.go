package deliver_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soakTime is how long TestSoak goes on, by $SOAK; 0 for not at all.
func soakTime() time.Duration {
	d, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		return 0
	}
	return d
}

// A fate is what became of a delivery.
type fate struct {
	who, id  string
	accepted bool
}

// TestSoak delivers by tmail and dmail into inboxes of several formats, kills
// some of the deliveries at any instant, and reads and prunes meanwhile. In the
// end every message that was accepted is there once, every other at most once,
// and nothing is damaged.
func TestSoak(t *testing.T) {
	needWorld(t)
	limit := soakTime()
	if limit == 0 {
		t.Skip("it takes long: make soak, or make test-mailsystems")
	}
	clean(t, 0o2775)
	install(t, true)
	for _, who := range []string{"alice", "bob", "mallory", "carol"} {
		spoolBox(t, who)
	}
	all := inboxes(t)
	end := time.Now().Add(limit)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var fates []fate
	var number atomic.Int64
	stop := make(chan bool)
	for who := range all {
		for range 3 {
			wg.Go(func() {
				for time.Now().Before(end) {
					f := deliverSomehow(t, who, number.Add(1))
					mu.Lock()
					fates = append(fates, f)
					mu.Unlock()
				}
			})
		}
	}
	var others sync.WaitGroup
	for who := range all {
		others.Go(func() { disturb(t, who, stop) })
	}
	wg.Wait()
	close(stop)
	others.Wait()
	judge(t, all, fates)
}

// deliverSomehow delivers a message of some size by one of the programs, which
// it kills every fifth time or so.
func deliverSomehow(t *testing.T, who string, n int64) fate {
	f := fate{who: who, id: fmt.Sprintf("soak-%d", n)}
	cmd := command(who, "dmail")
	if n%2 == 0 {
		cmd = command("root", "tmail", "-f", "joe@example.org", who)
	}
	text := "From: x@example.org\r\nSubject: " + f.id + "\r\n\r\n" + strings.Repeat("some text\r\n", rand.IntN(5000)) + "end of " + f.id + "\r\n"
	cmd.Stdin = strings.NewReader(text)
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return f
	}
	if rand.IntN(5) == 0 {
		timer := time.AfterFunc(time.Duration(rand.IntN(15000))*time.Microsecond, func() { cmd.Process.Kill() })
		defer timer.Stop()
	}
	err := cmd.Wait()
	f.accepted = err == nil
	return f
}

// judge looks at the mailboxes as they are in the end.
func judge(t *testing.T, all map[string]string, fates []fate) {
	accepted := 0
	for who, format := range all {
		if r := do(t, command(who, "mailutil", "check", "--deep", "INBOX"), ""); r.code != 0 && format != "mix" {
			t.Errorf("%s: check --deep: status %d, %s%s", who, r.code, r.out, r.err)
		}
		seen := subjects(t, who)
		for _, f := range fates {
			if f.who != who {
				continue
			}
			if f.accepted {
				accepted++
			}
			if n := seen[f.id]; n > 1 || f.accepted && n == 0 {
				t.Errorf("%s (%s): %s is there %d times, accepted: %v", who, format, f.id, n, f.accepted)
			}
		}
	}
	t.Logf("%d of %d deliveries were accepted", accepted, len(fates))
	if accepted == 0 {
		t.Error("no delivery was accepted")
	}
}
