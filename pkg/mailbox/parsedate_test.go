package mailbox

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var kolkata = time.FixedZone("IST", 330*60)

// deviations are the dates of testdata/dates.txt of which we make something
// else, and why.
var deviations = map[string]string{
	"2-Feb-2024 01:02:03 PDT (x)": "2024-02-02 01:02:03 -0700", // a comment does not unmake the zone
	"+2 Feb 2024":                 "no",                        // strtoul's signs are not for dates
	"2-Feb-2024 1:+2:-0":          "2024-02-02 01:00:00 +0530",
	"20240001":                    "no", // month 0
	"20240100":                    "no", // day 0
}

// TestParseDateOriginal compares with what the original library said.
func TestParseDateOriginal(t *testing.T) {
	f, err := os.Open("testdata/dates.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		want, in, ok := strings.Cut(sc.Text(), "\t")
		if strings.HasPrefix(want, "#") {
			continue
		}
		if !ok {
			t.Fatalf("bad line %q", sc.Text())
		}
		if other, ok := deviations[in]; ok {
			want = other
		}
		lines++
		d, err := ParseDate(in, kolkata)
		if got := verdict(d, err); got != want {
			t.Errorf("ParseDate(%q)\n got %s\nwant %s", in, got, want)
		}
	}
	if lines < 200 {
		t.Errorf("only %d dates compared", lines)
	}
}

// verdict writes a result as testdata/dates.txt does.
func verdict(d Date, err error) string {
	day := fmt.Sprintf("%d-%02d-%02d", d.Year, d.Month, d.Day)
	switch {
	case err != nil && d.IsZero():
		return "no"
	case err != nil:
		return "day " + day
	}
	zone := d.String()[21:]
	return fmt.Sprintf("%s %02d:%02d:%02d %s", day, d.Hour, d.Minute, d.Second, zone)
}

func TestParseDate(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"military west", "2-Feb-2024 01:02:03 R", " 2-Feb-2024 01:02:03 -0500"},
		{"Date header with comment", "Fri, 2 Feb 2024 01:02:03 +0100 (CET)", " 2-Feb-2024 01:02:03 +0100"},
		{"named zone with comment", "Fri, 2 Feb 2024 01:02:03 EST (winter)", " 2-Feb-2024 01:02:03 -0500"},
		{"From_ line without zone", "02-Dec-1992 05:53:22-LCL", " 2-Dec-1992 05:53:22 +0530"},
		{"minus zero", "2-Feb-2024 01:02:03 -0000", " 2-Feb-2024 01:02:03 -0000"},
		{"leap second", "31-Dec-2016 23:59:60 +0000", "31-Dec-2016 23:59:60 +0000"},
		{"last year", "31-Dec-2097", "31-Dec-2097 00:00:00 +0530"},
	} {
		d, err := ParseDate(tt.in, kolkata)
		if err != nil || d.String() != tt.want {
			t.Errorf("%s: ParseDate(%q)\n got %v, %v\nwant %s", tt.name, tt.in, d, err, tt.want)
		}
	}
}

// The zone is that of now: a zone with daylight saving gives winter mail the
// offset of the day on which it is read.
func TestParseDateLocal(t *testing.T) {
	l, err := time.LoadLocation("America/St_Johns")
	if err != nil {
		t.Skip("no zone data:", err)
	}
	_, off := time.Now().In(l).Zone()
	for _, in := range []string{"2-Jan-2024", "2-Jul-2024 01:02", "2-Jul-2024 01:02:03 XYZ"} {
		d, err := ParseDate(in, l)
		if err != nil || int(d.Zone) != off/60 {
			t.Errorf("ParseDate(%q)\n got zone %d, %v\nwant zone %d", in, d.Zone, err, off/60)
		}
	}
}

func TestParseDateLong(t *testing.T) {
	long := "2-Feb-2024 01:02:03 +0000 (" + strings.Repeat("x", 1024) + ")"
	if d, err := ParseDate(long, time.UTC); err == nil || !d.IsZero() || len(err.Error()) > 200 {
		t.Errorf("1 KiB date: got %v, %v; want a short error", d, err)
	}
}

// A scan of a million messages parses a million dates.
func TestParseDateAllocs(t *testing.T) {
	b := []byte(" 1-Jul-2001 02:03:04 -0700")
	n := testing.AllocsPerRun(100, func() {
		if _, err := ParseDate(string(b), time.UTC); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for a good date, want 0", n)
	}
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"", " 1-Jul-2001 02:03:04 -0700", "2/2/24", "20240202", "Fri, 2 Feb 2024 1:2 PDT (x)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDate(s, time.UTC)
		if err != nil {
			return
		}
		back, err := ParseDate(d.String(), time.UTC)
		if err != nil || back != d {
			t.Errorf("in %q\n got %v, %v when read back\nwant %v", s, back, err, d)
		}
	})
}

func BenchmarkParseDate(b *testing.B) {
	for b.Loop() {
		if _, err := ParseDate(" 1-Jul-2001 02:03:04 -0700", time.UTC); err != nil {
			b.Fatal(err)
		}
	}
}
