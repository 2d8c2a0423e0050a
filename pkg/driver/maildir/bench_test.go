package maildir

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
)

// BenchmarkAppend delivers 500 messages at once, durably.
func BenchmarkAppend(b *testing.B) {
	text := "Subject: x\r\n\r\n" + strings.Repeat("A line of mail that is as long as lines of mail are.\r\n", 300)
	env := benchEnv(b)
	d := New(env)
	b.SetBytes(500 * int64(len(text)))
	for i := range b.N {
		del, err := d.Append(ctx, under(env, fmt.Sprint("box", i)), mailbox.AppendOptions{New: true})
		if err != nil {
			b.Fatal(err)
		}
		for range 500 {
			if _, err := del.Add(mailbox.Item{Message: mailbox.Message{Size: int64(len(text))}, Text: strings.NewReader(text)}); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := del.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen opens a mailbox of 20,000 messages that have UIDs.
func BenchmarkOpen(b *testing.B) {
	env := benchEnv(b)
	n := under(env, "box")
	list := "3 V1 N20001\n"
	for _, part := range parts {
		if err := os.MkdirAll(n.Path+"/"+part, 0o700); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 20000 {
		base := fmt.Sprintf("%d.M%dP77.mail.example.org,S=1,W=1", 1700000000+i, i)
		if err := os.WriteFile(n.Path+"/cur/"+base+":2,S", []byte("x"), 0o600); err != nil {
			b.Fatal(err)
		}
		list += fmt.Sprintf("%d :%s\n", i+1, base)
	}
	if err := os.WriteFile(n.Path+"/"+uidlistFile, []byte(list), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		mb, err := New(env).Open(ctx, n, mailbox.ReadOnly)
		if err != nil || mb.Status().Messages != 20000 {
			b.Fatal(err)
		}
		mb.Close()
	}
}

func benchEnv(b *testing.B) *mailbox.Env {
	env := &mailbox.Env{Home: b.TempDir(), Host: "mail.example.org", Now: time.Now, Notify: func(mailbox.Level, string) {}, Config: mailbox.DefaultConfig()}
	env.Spool = env.Home + "/spool"
	return env
}
