package search

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"testing"

	"mailutil/pkg/internal/mailgen"
	"mailutil/pkg/mailbox"
)

const benchSize = 64 << 20

// mail returns made-up messages of benchSize octets together.
func mail(b *testing.B) [][]byte {
	b.Helper()
	var box bytes.Buffer
	if _, err := mailgen.Unix(&box, 1, benchSize); err != nil {
		b.Fatal(err)
	}
	var out [][]byte
	for _, msg := range bytes.Split(box.Bytes(), []byte("\nFrom user")) {
		_, msg, _ = bytes.Cut(msg, []byte("\n"))
		out = append(out, bytes.ReplaceAll(msg, []byte("\n"), []byte("\r\n")))
	}
	return out
}

// plain returns one long text.
func plain(b *testing.B) []byte {
	b.Helper()
	var out []byte
	for _, msg := range mail(b) {
		out = append(out, msg...)
	}
	return out
}

func benchmark(b *testing.B, criteria string, msgs ...[]byte) {
	b.Helper()
	m := matcher(b, criteria)
	size := 0
	for _, msg := range msgs {
		size += len(msg)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, msg := range msgs {
			ok, err := m.Match(mailbox.Message{}, func() (mailbox.Content, error) { return lent(msg), nil })
			if err != nil || ok {
				b.Fatal(ok, err)
			}
		}
	}
}

// lent is a message that is given as a mailbox does, in pieces of 1 MiB.
type lent []byte

func (lent) Read([]byte) (int, error) { panic("not used") }

func (c lent) Header() ([]byte, error) {
	head, _, _ := bytes.Cut(c, []byte("\r\n\r\n"))
	return head, nil
}

func (c lent) WriteTo(w io.Writer) (n int64, err error) {
	for rest := []byte(c); len(rest) > 0; {
		p := rest[:min(len(rest), 1<<20)]
		rest = rest[len(p):]
		if _, err := w.Write(p); err != nil {
			return 0, err
		}
	}
	return int64(len(c)), nil
}

func BenchmarkTextOfMail(b *testing.B)     { benchmark(b, "text nowhere-to-be-found", mail(b)...) }
func BenchmarkTextOfMailWord(b *testing.B) { benchmark(b, "text intention", mail(b)...) }
func BenchmarkTextOfMailBlank(b *testing.B) {
	benchmark(b, `text "meeting at nowhere"`, mail(b)...)
}
func BenchmarkTextOfMailUnicode(b *testing.B) { benchmark(b, "text Ångström", mail(b)...) }
func BenchmarkSubjectOfMail(b *testing.B)     { benchmark(b, "subject nowhere", mail(b)...) }

func BenchmarkPlain(b *testing.B) {
	text := plain(b)
	for name, criteria := range map[string]string{"rare": "body zygote", "frequent": "body attention", "unicode": "body Ångström"} {
		b.Run(name, func(b *testing.B) { benchmark(b, criteria, append([]byte("\r\n"), text...)) })
	}
}

func BenchmarkBase64(b *testing.B) {
	text := plain(b)
	msg := []byte("Content-Transfer-Encoding: base64\r\n\r\n")
	for len(text) > 57 {
		msg = base64.StdEncoding.AppendEncode(msg, text[:57])
		msg = append(msg, '\r', '\n')
		text = text[57:]
	}
	benchmark(b, "body zygote", msg)
}

func BenchmarkQuotedPrintable(b *testing.B) {
	var msg bytes.Buffer
	msg.WriteString("Content-Transfer-Encoding: quoted-printable\r\n\r\n")
	w := quotedprintable.NewWriter(&msg)
	w.Write(plain(b))
	w.Close()
	benchmark(b, "body zygote", msg.Bytes())
}

func BenchmarkLatin1Unicode(b *testing.B) {
	msg := append([]byte("Content-Type: text/plain; charset=iso-8859-1\r\n\r\n"), plain(b)...)
	benchmark(b, "body Ångström", msg)
}
