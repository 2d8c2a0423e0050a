package mailboxtest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing/iotest"

	"mailutil/pkg/mailbox"
)

// checkContent reads the first message of a mailbox in every way that there
// is.
func (b *bench) checkContent(n mailbox.Name, text string) {
	b.Helper()
	mb := b.open(n, mailbox.ReadOnly)
	defer b.close(mb)
	b.readInPieces(mb, text)
	b.writeTo(mb, text)
	b.header(mb, text)
}

// content opens message 1.
func (b *bench) content(mb mailbox.Mailbox) mailbox.Content {
	b.Helper()
	c, err := mb.Open(1)
	b.ok("open message 1", err)
	return c
}

// readInPieces reads through buffers of many sizes.
func (b *bench) readInPieces(mb mailbox.Mailbox, text string) {
	b.Helper()
	for _, size := range []int{1, 2, 3, 100, 4095, 4096, 65537, 1 << 20, len(text) + 1} {
		if len(text) > 1<<20 && size < 100 {
			continue
		}
		c := b.content(mb)
		buf := make([]byte, size)
		var got []byte
		for {
			k, err := c.Read(buf)
			got = append(got, buf[:k]...)
			if err == io.EOF {
				break
			}
			b.ok("read", err)
		}
		if string(got) != text {
			b.Errorf("read by %d octets: got %d octets, want %d\n got %.100q\nwant %.100q", size, len(got), len(text), got, text)
		}
		if k, err := c.Read(buf); k != 0 || err != io.EOF {
			b.Errorf("read behind the end: got %d, %v, want 0, EOF", k, err)
		}
	}
	if len(text) < 1<<20 {
		if err := iotest.TestReader(onlyReader{b.content(mb)}, []byte(text)); err != nil {
			b.Errorf("as a Reader: %v", err)
		}
	}
}

// writeTo writes the text, whole and from the middle on.
func (b *bench) writeTo(mb mailbox.Mailbox, text string) {
	b.Helper()
	for _, skip := range []int{0, 1, 5, len(text) / 2, len(text)} {
		if skip > len(text) {
			continue
		}
		c := b.content(mb)
		_, err := io.ReadFull(c, make([]byte, skip))
		b.ok("read", err)
		var out bytes.Buffer
		k, err := c.WriteTo(&out)
		if err != nil || k != int64(len(text)-skip) || out.String() != text[skip:] {
			b.Errorf("WriteTo after reading %d: got %d octets, says %d, %v, want %d", skip, out.Len(), k, err, len(text)-skip)
		}
	}
	if text == "" {
		return
	}
	if _, err := b.content(mb).WriteTo(brokenWriter{}); !errors.Is(err, errBrokenWriter) {
		b.Errorf("WriteTo a writer that fails: got %v, want its error", err)
	}
}

var errBrokenWriter = errors.New("writer is broken")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBrokenWriter }

// header asks for the header before, between and after reads.
func (b *bench) header(mb mailbox.Mailbox, text string) {
	b.Helper()
	want := headerOf(text)
	bareLF := strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\n")
	c := b.content(mb)
	check := func(when string) {
		b.Helper()
		got, err := c.Header()
		b.ok("header", err)
		// Whether an empty line that ends in LF alone ends the header is up
		// to the format.
		if string(got) != want && !(bareLF && strings.HasPrefix(text, string(got))) {
			b.Errorf("header %s\n got %.100q\nwant %.100q", when, got, want)
		}
	}
	check("before reading")
	var got []byte
	piece := make([]byte, min(4, len(text)))
	_, err := io.ReadFull(c, piece)
	b.ok("read", err)
	got = append(got, piece...)
	check("between reads")
	rest, err := io.ReadAll(onlyReader{c})
	b.ok("read", err)
	if got = append(got, rest...); string(got) != text {
		b.Errorf("read around Header\n got %.100q\nwant %.100q", got, text)
	}
	check("after reading")
}
