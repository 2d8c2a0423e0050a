package mix

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// FuzzMeta parses metadata: what can be read is read the same after it is
// written.
func FuzzMeta(f *testing.F) {
	for _, s := range []string{
		"S6b03b917\r\nV6b03b909\r\nL00000006\r\nN6b03b909\r\nK$Forwarded Work $Label1\r\n", "S1\r\n", "S1\r\nK\r\nX\r\n", "S1\r\nKa b \r\n", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMeta(b)
		if err != nil {
			return
		}
		if m.validity == 0 {
			m.validity = 1
		}
		again, err := parseMeta(m.print())
		if err != nil || !bytes.Equal(again.print(), m.print()) {
			t.Errorf("%q\n got %q, %v\nwant %q", b, again.print(), err, m.print())
		}
	})
}

// FuzzRecords parses the lines of the other files.
func FuzzRecords(f *testing.F) {
	for _, s := range []string{
		":00000001:20240102030405+0100:0000009d:6b03b909:00000000:0000002d:00000091:",
		":00000001:00000000:0011:6b03b90b:", ":msg:00000001:20240102030405+0100:0000009d:\r\n", ":",
		":1:20240102030405-0000:7fffffffffffffff:1:7fffffffffffffff:1:1:",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || b[0] != ':' {
			return
		}
		if m, field, _ := parseIndex(b); field == "" {
			line := appendIndex(nil, &m)
			if again, field, _ := parseIndex(line[:len(line)-2]); field != "" || again != m {
				t.Errorf("%q: got %+v, %s, want %+v", b, again, field, m)
			}
			if m.end() < m.pos || m.header > m.size {
				t.Errorf("%q: got %+v", b, m)
			}
		}
		if s, ok := parseStatus(b); ok {
			line := appendStatus(nil, s)
			if again, ok := parseStatus(line[:len(line)-2]); !ok || again != s {
				t.Errorf("%q: got %+v, want %+v", b, again, s)
			}
		}
		if m, _, ok := parseToken(b); ok {
			again, n, ok := parseToken(appendToken(nil, &m))
			m.lead = uint32(n)
			if !ok || again != m {
				t.Errorf("%q: got %+v, want %+v", b, again, m)
			}
		}
	})
}

// FuzzScan reads whole files of a mailbox, whatever they hold, and inspects
// them.
func FuzzScan(f *testing.F) {
	index := "S6b03b914\r\n:00000001:20240102030405+0100:00000004:00000001:00000000:0000002d:00000004:\r\n"
	status := "S6b03b917\r\n:00000001:00000000:0011:6b03b90b:\r\n"
	data := ":msg:00000001:20240102030405+0100:00000004:\r\nabcd"
	f.Add([]byte(index), []byte(status), []byte(data))
	f.Add([]byte(index+"\x000000002"), []byte("\x00"), []byte(data+data))
	f.Add([]byte("\n\n:"), []byte(status+":"), []byte("x"+data))
	f.Fuzz(func(t *testing.T, index, status, data []byte) {
		w := newWorld(t)
		w.FS = hasty{fsx.OS{}}
		n := w.name("box")
		if err := os.Mkdir(n.Path, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{
			metaName: []byte("S6b03b917\r\nV00000001\r\nL00000003\r\nN00000001\r\n"), indexName: index, statusName: status, ".mix00000001": data,
		} {
			if err := os.WriteFile(filepath.Join(n.Path, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		w.Inspect(ctx, n, func(mailbox.Finding) error { return nil })
		for _, m := range []mailbox.Mode{mailbox.ReadOnly, mailbox.ReadWrite} {
			mb, err := w.Open(ctx, n, m)
			if err != nil {
				continue
			}
			for m := range mb.Messages(mailbox.All) {
				if c, err := mb.Open(m.Seq); err == nil {
					c.Header()
				}
			}
			if err := mb.Close(); err != nil {
				t.Logf("close: %v", err)
			}
		}
		deliver(w, n, mailbox.AppendOptions{}, item("x: y\r\n\r\n"))
	})
}
