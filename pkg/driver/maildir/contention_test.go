package maildir

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

const (
	deliverers = 5
	rounds     = 12
)

// play is what a process of the test does: "deliver TAG DIR" adds mail in
// deliveries of one and of three, "work TAG DIR" opens the mailbox again and
// again, flags what it sees, and expunges what is answered.
func play(role string) int {
	kind, rest, _ := strings.Cut(role, " ")
	tag, dir, _ := strings.Cut(rest, " ")
	env, err := mailbox.NewEnv()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	n := mailbox.Name{Text: "box", Path: dir}
	do := deliverRound
	if kind == "work" {
		do = workRound
	}
	for i := range rounds {
		if err := do(New(env), n, tag, i); err != nil {
			fmt.Fprintf(os.Stderr, "%s %d: %v\n", role, i, err)
			return 1
		}
	}
	return 0
}

func deliverRound(d *Driver, n mailbox.Name, tag string, round int) error {
	del, err := d.Append(context.Background(), n, mailbox.AppendOptions{Keywords: []string{"from-" + tag}})
	if err != nil {
		return err
	}
	defer del.Abort()
	for k := range 1 + 2*(round%2) {
		text := fmt.Sprintf("Subject: %s-%d-%d\r\n\r\nbody\r\n", tag, round, k)
		it := mailbox.Item{Message: mailbox.Message{Size: int64(len(text))}, Text: strings.NewReader(text)}
		it.Flags.Keywords = uint64(round & 1)
		if _, err := del.Add(it); err != nil {
			return err
		}
	}
	_, err = del.Commit()
	return err
}

func workRound(d *Driver, n mailbox.Name, _ string, round int) error {
	mb, err := d.Open(context.Background(), n, mailbox.ReadWrite)
	if err != nil {
		return err
	}
	defer mb.Close()
	var answered mailbox.Set
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			return err
		}
		if m.Flags.System&mailbox.Answered != 0 && m.UID%5 == 0 {
			answered.Add(m.Seq)
		}
	}
	if _, err := mb.Expunge(answered); err != nil {
		return err
	}
	flag := []mailbox.SystemFlags{mailbox.Answered, mailbox.Seen, mailbox.Flagged}[round%3]
	if err := mb.Store(mailbox.All, mailbox.Add, mailbox.FlagList{System: flag}); err != nil {
		return err
	}
	if _, err := mb.Ping(); err != nil {
		return err
	}
	return mb.Close()
}

// Real processes deliver, flag and expunge at once. Every UID is given once,
// and of the messages just those are gone that have such a UID.
func TestContention(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	n := under(env, "box")
	if err := New(env).Create(ctx, n); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var all []*exec.Cmd
	start := func(role string) {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "MAILUTIL_TEST_ROLE="+role+" "+n.Path)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	for i := range deliverers {
		start(fmt.Sprintf("deliver d%d", i))
	}
	for i := range 2 {
		start(fmt.Sprintf("work w%d", i))
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", cmd.Env[len(cmd.Env)-1], err)
		}
	}
	want := deliverers * rounds * 2 // one and three in turn
	g := readBox(t, env, n, mailbox.ReadWrite)
	given := map[uint32]bool{}
	for _, m := range g.Messages {
		given[m.UID] = true
	}
	if g.UIDLast != uint32(want) {
		t.Errorf("%d messages were delivered, %d UIDs given", want, g.UIDLast)
	}
	for uid := uint32(1); uid <= g.UIDLast; uid++ {
		if !given[uid] && uid%5 != 0 {
			t.Errorf("message of UID %d is lost", uid)
		}
	}
	found, err := New(env).Inspect(ctx, n, func(f mailbox.Finding) error {
		t.Errorf("afterwards: %v", f)
		return nil
	})
	if err != nil || int(found.Messages) != len(g.Messages) {
		t.Errorf("afterwards: %+v, %v", found, err)
	}
	if left, _ := filepath.Glob(n.Path + "/tmp/*"); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
}
