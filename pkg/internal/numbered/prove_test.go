package numbered

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailutil/pkg/internal/fsx"
)

// However messages are read, what was read is proved as it is on disk; and a
// change after the reading shows.
func TestWitness(t *testing.T) {
	for _, lf := range []bool{false, true} {
		dir := t.TempDir()
		put := func(name, text string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		put("1", "Subject: x\n\nx\n")
		put("2", "")
		put("3", "Subject: long\r\n\r\n"+strings.Repeat("line\n", 128<<10))
		put("7", "never read")
		x := Texts{Dir: Dir{fsx.OS{}, dir}, CRLF: lf}
		nums := []uint32{1, 2, 3, 7}
		x.Witness(nums)
		for _, n := range []uint32{3, 1, 2, 1, 3} {
			c, err := x.Open(n)
			if err != nil {
				t.Fatal(err)
			}
			part := make([]byte, 5)
			io.ReadFull(c, part)
			if _, err := c.Header(); err != nil { // goes back
				t.Fatal(err)
			}
			if _, err := c.WriteTo(io.Discard); err != nil {
				t.Fatal(err)
			}
		}
		read, err := x.Witnessed()
		if err != nil {
			t.Fatal(err)
		}
		if now, err := x.Prove(nums); err != nil || now != read {
			t.Errorf("lf %v: read %+v, now %+v, %v", lf, read, now, err)
		}
		for _, n := range []string{"1", "2", "3"} {
			x.Witness(nums)
			for _, n := range nums {
				c, err := x.Open(n)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.WriteTo(io.Discard); err != nil {
					t.Fatal(err)
				}
			}
			put(n, "Another text")
			read, err := x.Witnessed()
			if now, err2 := x.Prove(nums); err != nil || err2 != nil || now.Digest == read.Digest {
				t.Errorf("lf %v: the change of message %s does not show: %v, %v", lf, n, err, err2)
			}
		}
	}
}
