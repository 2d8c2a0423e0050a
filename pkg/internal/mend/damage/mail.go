package damage

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Forwarded is mail with a mailbox in it.
const Forwarded = "Subject: forwarded\r\n\r\nHere it is:\r\n" +
	" 5-Jul-2001 02:03:04 -0700,21;000000000011-00000009\r\nSubject: inner\r\n\r\nabc\r\n" +
	" 6-Jul-2001 02:03:04 -0700,21;000000000011-0000000a\r\nSubject: inner\r\n\r\nabc\r\n" +
	" 6-Jul-2001 02:03:04 -0700,21;000000000011\r\nSubject: inner\r\n\r\nabc\r\n" +
	"From a@b Wed Dec  2 05:53:22 2020\r\nSubject: inner\r\nStatus: RO\r\nX-Status: \r\nX-Keywords:\r\nX-UID: 3\r\n\r\nabc\r\n\r\nThat was it.\r\n"

// largest lets damage hit several messages at once.
var largest = flag.Int("damage-largest", 20<<10, "how many octets a message of a damaged mailbox has at most")

// RealMail returns the texts of real mail, with CRLF line ends: of the golden
// files, and of the large collection where that is there.
func RealMail(t *testing.T) (out []string) {
	t.Helper()
	for _, dir := range []string{"testdata/mbx", "../shared/corpora/derived-by-cclient", "../shared/corpora/ponymail-unit-tests", "../shared/corpora/tika", "../shared/corpora/perceval"} {
		files, _ := filepath.Glob(filepath.Join("../../..", dir, "*.mb*x"))
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			split := splitMbox
			if strings.HasSuffix(file, ".mbx") {
				split = splitMbx
			}
			for n, text := range split(b) {
				if n < 60 && 0 < len(text) && len(text) < *largest {
					out = append(out, text)
				}
			}
		}
	}
	return append(out, Forwarded)
}

// splitMbx returns the texts of an mbx file that is sound.
func splitMbx(b []byte) (out []string) {
	for b = b[min(2048, len(b)):]; ; {
		line, rest, ok := bytes.Cut(b, []byte("\r\n"))
		_, fields, _ := bytes.Cut(line, []byte(","))
		digits, _, _ := bytes.Cut(fields, []byte(";"))
		size, err := strconv.Atoi(string(digits))
		if !ok || err != nil || size > len(rest) {
			return out
		}
		out, b = append(out, string(rest[:size])), rest[size:]
	}
}

// splitMbox returns the texts of a unix mailbox.
func splitMbox(b []byte) (out []string) {
	for _, text := range strings.Split("\n\n"+string(b), "\n\nFrom ")[1:] {
		_, text, _ = strings.Cut(text, "\n")
		out = append(out, strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n"))
	}
	return out
}
