package mbx

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
)

// benchBox makes a mailbox of n messages of size octets.
func benchBox(b *testing.B, n, size int) (*Driver, mailbox.Name) {
	b.Helper()
	env := &mailbox.Env{Home: b.TempDir(), LockDir: b.TempDir(), Now: time.Now, Notify: func(mailbox.Level, string) {}, Config: mailbox.DefaultConfig()}
	d := New(env, nil)
	name := mailbox.Name{Text: "box", Path: env.Home + "/box"}
	del, err := d.Append(context.Background(), name, mailbox.AppendOptions{New: true})
	if err != nil {
		b.Fatal(err)
	}
	text := "Subject: x\r\n\r\n" + strings.Repeat("x", size)
	for range n {
		if _, err := del.Add(item(text)); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := del.Commit(); err != nil {
		b.Fatal(err)
	}
	return d, name
}

func benchOpen(b *testing.B, d *Driver, n mailbox.Name) mailbox.Mailbox {
	mb, err := d.Open(context.Background(), n, mailbox.ReadOnly)
	if err != nil {
		b.Fatal(err)
	}
	return mb
}

func BenchmarkOpen(b *testing.B) {
	for _, bb := range []struct {
		name    string
		n, size int
	}{{"small", 100000, 500}, {"large", 10000, 20000}} {
		b.Run(bb.name, func(b *testing.B) {
			d, n := benchBox(b, bb.n, bb.size)
			fi, _ := os.Stat(n.Path)
			b.SetBytes(fi.Size())
			b.ReportAllocs()
			for b.Loop() {
				benchOpen(b, d, n).Close()
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, bb := range []struct {
		name    string
		n, size int
	}{{"small", 100000, 500}, {"large", 10000, 20000}} {
		d, n := benchBox(b, bb.n, bb.size)
		mb := benchOpen(b, d, n)
		defer mb.Close()
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(bb.n * bb.size))
			for b.Loop() {
				for m := range mb.Messages(mailbox.All) {
					c, _ := mb.Open(m.Seq)
					if _, err := c.WriteTo(io.Discard); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkDeliver(b *testing.B) {
	for _, bb := range []struct {
		name string
		n    int
	}{{"empty", 0}, {"45000", 45000}} {
		b.Run(bb.name, func(b *testing.B) {
			d, n := benchBox(b, bb.n, 20000)
			text := strings.Repeat("Subject: x\r\n", 1700)
			for b.Loop() {
				del, err := d.Append(context.Background(), n, mailbox.AppendOptions{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := del.Add(item(text)); err != nil {
					b.Fatal(err)
				}
				if _, err := del.Commit(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
