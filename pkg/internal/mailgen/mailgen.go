// Package mailgen writes made-up mailboxes for benchmarks and large tests: the
// same seed gives the same octets. Sizes are spread like real mail (median
// 8 KB, a tail to megabytes), with folded headers, 8-bit text and base64 parts.
package mailgen

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"
)

var words = []string{
	"the", "mailbox", "of", "and", "server", "to", "meeting", "on", "Tuesday", "please", "report", "is",
	"attached", "From", "time", "we", "will", "naïve", "café", "reply", "before", "noon", "thanks", "regards",
	"configuration", "delivery", "failed", "spool", "administrator", "quota", "a", "in", "it", "that",
}

// Unix writes a unix mailbox of at least size octets and returns the number of
// messages. Every tenth message is read, every tenth of the rest flagged.
func Unix(w io.Writer, seed uint64, size int64) (messages int, err error) {
	return write(w, seed, func(written int64, _ int) bool { return written < size }, 8192)
}

// UnixSmall writes a unix mailbox of n messages of about 2 KB.
func UnixSmall(w io.Writer, seed uint64, n int) error {
	_, err := write(w, seed, func(_ int64, done int) bool { return done < n }, 1024)
	return err
}

func write(w io.Writer, seed uint64, more func(written int64, done int) bool, median float64) (int, error) {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 1))}
	g.w = bufio.NewWriterSize(io.MultiWriter(w, &g.n), 1<<20)
	n := 0
	for ; more(int64(g.n)+int64(g.w.Buffered()), n); n++ {
		g.message(n, median)
	}
	return n, g.w.Flush()
}

type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

type generator struct {
	w   *bufio.Writer
	n   counter
	rng *rand.Rand
}

func (g *generator) message(n int, median float64) {
	at := time.Unix(1_500_000_000+int64(n)*613, 0).UTC()
	user := fmt.Sprintf("user%d@host%d.example.com", g.rng.IntN(500), g.rng.IntN(40))
	fmt.Fprintf(g.w, "From %s %s\n", user, at.Format("Mon Jan _2 15:04:05 2006"))
	fmt.Fprintf(g.w, "Return-Path: <%s>\nReceived: from host%d.example.com (host [192.0.2.%d])\n\tby mail.example.org with ESMTP id %x\n\tfor <alice@example.org>; %s\n",
		user, g.rng.IntN(40), g.rng.IntN(256), g.rng.Uint64(), at.Format(time.RFC1123Z))
	fmt.Fprintf(g.w, "Date: %s\nFrom: User <%s>\nTo: Alice <alice@example.org>\nSubject: message %d %s\nMessage-ID: <%d.%x@example.com>\nMIME-Version: 1.0\n",
		at.Format(time.RFC1123Z), user, n, words[g.rng.IntN(len(words))], n, g.rng.Uint32())
	switch {
	case n%10 == 0:
		io.WriteString(g.w, "Status: RO\n")
	case n%10 == 1:
		io.WriteString(g.w, "Status: O\nX-Status: F\n")
	}
	size := int(median * math.Exp(g.rng.NormFloat64()*1.2))
	size = min(size, 6<<20)
	if g.rng.IntN(4) == 0 && size > 4096 {
		g.multipart(size)
	} else {
		io.WriteString(g.w, "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n")
		g.text(size)
	}
	io.WriteString(g.w, "\n")
}

func (g *generator) multipart(size int) {
	io.WriteString(g.w, "Content-Type: multipart/mixed; boundary=\"=_part\"\n\n--=_part\nContent-Type: text/plain; charset=utf-8\n\n")
	g.text(size / 8)
	io.WriteString(g.w, "--=_part\nContent-Type: application/pdf; name=report.pdf\nContent-Transfer-Encoding: base64\n\n")
	raw := make([]byte, 57)
	line := make([]byte, 77)
	line[76] = '\n'
	for range size * 7 / 8 / 77 {
		for i := 0; i+8 <= len(raw); i += 8 {
			v := g.rng.Uint64()
			for k := range 8 {
				raw[i+k] = byte(v >> (8 * k))
			}
		}
		base64.StdEncoding.Encode(line, raw)
		g.w.Write(line)
	}
	io.WriteString(g.w, "--=_part--\n")
}

func (g *generator) text(size int) {
	for col := 0; size > 0; size-- {
		word := words[g.rng.IntN(len(words))]
		if col == 0 && word == "From" {
			word = "from"
		}
		g.w.WriteString(word)
		size -= len(word)
		if col += len(word) + 1; col > 66 {
			g.w.WriteByte('\n')
			col = 0
		} else {
			g.w.WriteByte(' ')
		}
	}
	g.w.WriteByte('\n')
}
