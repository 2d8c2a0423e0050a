package mbox

import (
	"bytes"
	"io"
	"strings"
	"time"

	"mailutil/pkg/mailbox"
)

// A FromLine is a From_ line taken apart. Its fields are parts of the line.
type FromLine struct {
	Sender, day, month, clock, year, zone []byte
}

// remoteFrom may stand behind the date, before the name of a host.
const remoteFrom = " remote from"

// ParseFrom takes apart a From_ line, which must end in LF. The form is purely
// positional, scanned from the end, without any look at digits, so "From here
// on it is ok: abc def gh ij:kl mnop" is one:
//
//	From [sender ]Www Mmm dd hh:mm[:ss] yyyy
//	... [zone] yyyy, or yyyy [zone], with a zone of three letters or +zzzz
func ParseFrom(ln []byte) (FromLine, bool) {
	var f FromLine
	x := len(ln) - 1
	if x < 0 || ln[x] != '\n' || !bytes.HasPrefix(ln, []byte("From ")) || bytes.IndexByte(ln, 0) >= 0 {
		return f, false
	}
	if ln[x-1] == '\r' {
		x--
	}
	if x >= 41 {
		if sp := bytes.LastIndexByte(ln[:x], ' '); bytes.HasSuffix(ln[:sp], []byte(remoteFrom)) {
			x = sp - len(remoteFrom)
		}
	}
	if x < 27 {
		return f, false
	}
	e, ok := f.tail(ln[:x])
	if !ok || ln[e-3] != ':' {
		return f, false
	}
	t := e - 6
	if ln[e-6] == ':' {
		t = e - 9
	}
	if t < 15 || ln[t] != ' ' || ln[t-3] != ' ' || ln[t-7] != ' ' || ln[t-11] != ' ' {
		return f, false
	}
	if t-11 > 5 {
		f.Sender = bytes.TrimSpace(ln[5 : t-11])
	}
	f.month, f.day, f.clock = ln[t-6:t-3], ln[t-2:t], ln[t+1:e]
	return f, true
}

// IsBare reports whether a line is a From_ line of Thunderbird's, which has no
// sender and no date; before version 128 it had a "-" and a date, and in between
// the former alone.
func IsBare(ln []byte) bool {
	rest, ok := bytes.CutPrefix(ln, fromWord)
	rest = bytes.TrimSuffix(bytes.TrimRight(rest, " \r\n"), []byte("-"))
	return ok && len(rest) == 0 && ln[len(ln)-1] == '\n'
}

// ProbeBare reports whether a file begins with such a line.
func ProbeBare(f io.ReaderAt) (bool, error) {
	b := make([]byte, len("From - \r\n"))
	n, err := f.ReadAt(b, 0)
	if err == io.EOF {
		err = nil
	}
	return IsBare(b[:bytes.IndexByte(b[:n], '\n')+1]), err
}

// tail finds year and zone at the end of ln and returns where the time of day
// ends.
func (f *FromLine) tail(ln []byte) (e int, ok bool) {
	x := len(ln)
	sign := func(i int) bool { return ln[i] == '+' || ln[i] == '-' }
	switch {
	case ln[x-5] == ' ':
		f.year = ln[x-4:]
		switch {
		case ln[x-8] == ':': // 05:53 1992
			return x - 5, true
		case ln[x-9] == ' ': // PST 1992
			f.zone = ln[x-8 : x-5]
			return x - 9, true
		case ln[x-11] == ' ' && sign(x-10): // -0700 1992
			f.zone = ln[x-10 : x-5]
			return x - 11, true
		}
	case ln[x-4] == ' ': // 1992 PST
		if ln[x-9] == ' ' {
			f.year, f.zone = ln[x-8:x-4], ln[x-3:]
			return x - 9, true
		}
	case ln[x-6] == ' ': // 1992 -0700
		if ln[x-11] == ' ' && sign(x-5) {
			f.year, f.zone = ln[x-10:x-6], ln[x-5:]
			return x - 11, true
		}
	}
	return 0, false
}

// Date reads the date. ok is false where that is not possible: what could be
// read is returned, 1-Jan-1970 for nothing.
func (f FromLine) Date(local *time.Location) (d mailbox.Date, ok bool) {
	var tmp [40]byte
	b := append(tmp[:0], f.day...)
	b = append(b, '-')
	b = append(b, f.month...)
	b = append(b, '-')
	b = append(b, f.year...)
	b = append(b, ' ')
	b = append(b, f.clock...)
	if f.zone != nil {
		b = append(b, ' ')
		b = append(b, f.zone...)
	}
	d, err := mailbox.ParseDate(string(b), local)
	if d.IsZero() {
		d = mailbox.Date{Year: 1970, Month: 1, Day: 1}
	}
	return d, err == nil
}

const (
	dayNames   = "SunMonTueWedThuFriSat"
	monthNames = "JanFebMarAprMayJunJulAugSepOctNovDec"
)

// appendCtime appends "Www Mmm dd hh:mm:ss yyyy" of d's fields.
func appendCtime(b []byte, d mailbox.Date) []byte {
	w := 3 * int(d.Time().Weekday())
	b = append(b, dayNames[w:w+3]...)
	b = append(b, ' ')
	m := 3 * (min(max(int(d.Month), 1), 12) - 1)
	b = append(b, monthNames[m:m+3]...)
	b = append(b, ' ')
	b = appendNum(b, int(d.Day), 2, ' ')
	b = append(b, ' ')
	b = appendNum(b, int(d.Hour), 2, '0')
	b = append(b, ':')
	b = appendNum(b, int(d.Minute), 2, '0')
	b = append(b, ':')
	b = appendNum(b, int(d.Second), 2, '0')
	b = append(b, ' ')
	return appendNum(b, int(d.Year), 4, '0')
}

// AppendFrom appends a From_ line with its LF.
func AppendFrom(b []byte, sender string, d mailbox.Date) []byte {
	b = append(b, "From "...)
	b = append(b, sender...)
	b = append(b, ' ')
	b = appendCtime(b, d)
	zone, sign := int(d.Zone), byte('+')
	if zone < 0 || d.MinusZero {
		zone, sign = -zone, '-'
	}
	b = append(b, ' ', sign)
	b = appendNum(b, zone/60*100+zone%60, 4, '0')
	return append(b, '\n')
}

func appendNum(b []byte, n, width int, fill byte) []byte {
	var tmp [10]byte
	i := len(tmp)
	for ; n > 0 || i == len(tmp); n /= 10 {
		i--
		tmp[i] = byte('0' + n%10)
	}
	for ; len(tmp)-i < width; i-- {
		tmp[i-1] = fill
	}
	return append(b, tmp[i:]...)
}

// said is the date as the original's warning about it shows it.
func (f FromLine) said() string {
	clock, zone := string(f.clock), "-LCL"
	if len(clock) == 5 {
		clock += ":00"
	}
	if f.zone != nil {
		zone = " " + string(f.zone)
	}
	return string(f.day) + "-" + string(f.month) + "-" + string(f.year) + " " + clock + zone
}

// probeSize is how far a From_ line is looked for.
const probeSize = 1023

// Probe reports whether a file has, behind any blank lines, a whole From_ line
// in its first 1023 octets.
func Probe(f io.ReaderAt) (bool, error) {
	b := make([]byte, probeSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return false, err
	}
	text := string(b[:n])
	rest := strings.TrimLeft(text, "\n\r \t")
	if blanks := text[:len(text)-len(rest)]; blanks != "" && !strings.HasSuffix(blanks, "\n") {
		return false, nil
	}
	ln, _, whole := strings.Cut(rest, "\n")
	if !whole {
		return false, nil
	}
	_, ok := ParseFrom([]byte(ln + "\n"))
	return ok, nil
}
