package mailbox

import (
	"fmt"
	"strings"
	"time"
)

// The years that a Date read from text may have. The last is what the seven
// bits of the original's message cache can hold.
const (
	firstYear = 1970
	lastYear  = 2097
)

// ParseDate reads a date as leniently as the original does in internal
// dates, From_ lines, Date headers and search criteria:
//
//	[Www, ]d-mmm-yyyy[ hh:mm[:ss][ zone]]   or blanks for the hyphens
//	yyyy-mm-dd   yyyymmdd   m/d/yyyy        without a time
//
// Two-digit years 00-48 are 20yy, all others below 999 are 1900 and more. Of
// a month name the first three letters count, of days only that they are 1 to
// 31: 31-Feb passes. The zone is +hhmm or -hhmm, a military letter, or one of
// the few names that the original knows, also after a hyphen; a comment may
// follow. No zone, or a name that it does not know, means the offset that
// local has now, not the one it had at that date. What is not four good
// digits is +0000.
//
// With an error the Date is what could be read: the day when only the time
// was bad, else zero.
func ParseDate(s string, local *time.Location) (Date, error) {
	if len(s) < 1024 { // as long as the original looks at
		d, rest, ok := parseDay(s)
		if ok && parseTime(&d, rest, local) {
			return d, nil
		}
		if ok {
			return d, badDate(s)
		}
	}
	return Date{}, badDate(s)
}

// badDate is apart, and copies s, so that a caller's string need not be on
// the heap as long as all is well.
func badDate(s string) error {
	return fmt.Errorf("not a date: %.80q", strings.Clone(s))
}

// parseDay reads the day and returns what follows: "" or " time".
func parseDay(s string) (d Date, rest string, ok bool) {
	if len(s) > 4 && isAlpha(s[0]) && isAlpha(s[1]) && isAlpha(s[2]) && s[3:5] == ", " {
		s = s[5:]
	}
	first, s := number(s)
	if first == 0 {
		return Date{}, "", false
	}
	var year, month, day int
	switch {
	case s == "": // yyyymmdd
		year, month, day = first/10000, first/100%100, first%100
		ok = first >= firstYear*10000
	case s[0] == '/':
		month = first
		day, year, s, ok = twoNumbers(s)
		ok = ok && s == ""
	case s[0] == '-' || s[0] == ' ':
		sep := s[0]
		if sep == ' ' {
			s = " " + strings.TrimLeft(s, " ")
		}
		if len(s) > 1 && isDigit(s[1]) {
			year = first
			month, day, s, ok = isoRest(s)
			break
		}
		day = first
		month, year, s, ok = namedMonth(s, sep)
	}
	switch {
	case year < 49:
		year += 2000
	case year < 999:
		year += 1900
	}
	if !ok || day < 1 || day > 31 || month < 1 || month > 12 || year < firstYear || year > lastYear {
		return Date{}, "", false
	}
	return Date{Year: uint16(year), Month: uint8(month), Day: uint8(day)}, s, true
}

// twoNumbers reads "/d/yy".
func twoNumbers(s string) (a, b int, rest string, ok bool) {
	if len(s) < 2 || !isDigit(s[1]) {
		return 0, 0, "", false
	}
	a, s = number(s[1:])
	if len(s) < 2 || s[0] != '/' || !isDigit(s[1]) {
		return 0, 0, "", false
	}
	b, s = number(s[1:])
	return a, b, s, true
}

// isoRest reads "-mm-dd", which must be all there is.
func isoRest(s string) (month, day int, rest string, ok bool) {
	month, s = number(s[1:])
	if s == "" || s[0] != '-' {
		return 0, 0, "", false
	}
	day, s = number(s[1:])
	return month, day, s, s == ""
}

// namedMonth reads "-mmm-yyyy", the month being any word that begins well,
// the separators both sep.
func namedMonth(s string, sep byte) (month, year int, rest string, ok bool) {
	if len(s) < 5 {
		return 0, 0, "", false
	}
	month, s = monthNumber(s[1:4]), s[4:]
	for s != "" && isAlpha(s[0]) {
		s = s[1:]
	}
	if s == "" || s[0] != sep {
		return 0, 0, "", false
	}
	s = strings.TrimLeft(s[1:], " ")
	if s == "" || !isDigit(s[0]) {
		return 0, 0, "", false
	}
	year, s = number(s)
	return month, year, s, s == "" || s[0] == ' '
}

// monthNumber returns 1 to 12 for a month's first three letters in any case,
// else 0.
func monthNumber(s string) int {
	for i := 0; i < len(monthNames); i += 3 {
		if strings.EqualFold(s, monthNames[i:i+3]) {
			return i/3 + 1
		}
	}
	return 0
}

// parseTime reads "" or " hh:mm[:ss][zone]" into d. d is left alone when it
// returns false.
func parseTime(d *Date, s string, local *time.Location) bool {
	var hour, minute, second int
	if s != "" {
		if hour, s = number(s[1:]); s == "" || s[0] != ':' {
			return false
		}
		if minute, s = number(s[1:]); s != "" && s[0] == ':' {
			second, s = number(s[1:])
		}
	}
	if hour > 23 || minute > 59 || second > 60 {
		return false
	}
	d.Hour, d.Minute, d.Second = uint8(hour), uint8(minute), uint8(second)
	parseZone(d, s, local)
	return true
}

// parseZone reads what follows the time, all of which is a zone of some sort.
func parseZone(d *Date, s string, local *time.Location) {
	known := false
	switch {
	case s == "":
	case s[0] == ' ':
		s = strings.TrimLeft(s, " ")
		if s == "" || !isAlpha(s[0]) {
			d.Zone, d.MinusZero = numericZone(s)
			return
		}
		d.Zone, known = namedZone(s)
	case s[0] == '-':
		d.Zone, known = namedZone(s[1:])
	}
	if !known {
		d.Zone = zoneNow(local)
	}
}

// numericZone reads a sign, if there is one, and hhmm. The hours have four
// bits, as in the original: +9959 is +0359.
func numericZone(s string) (zone int16, minusZero bool) {
	minus := s != "" && s[0] == '-'
	if minus || s != "" && s[0] == '+' {
		s = s[1:]
	}
	if len(s) >= 4 && isDigit(s[0]) && isDigit(s[1]) && s[2] >= '0' && s[2] <= '5' && isDigit(s[3]) {
		hours := int16(s[0]-'0')*10 + int16(s[1]-'0')
		zone = hours%16*60 + int16(s[2]-'0')*10 + int16(s[3]-'0')
	}
	if minus {
		return -zone, zone == 0
	}
	return zone, false
}

// namedZone returns the minutes of a zone name. A comment after it, " (...",
// is passed over, for Date headers. No name at all is UTC.
func namedZone(s string) (zone int16, known bool) {
	s, _, _ = strings.Cut(s, " (")
	if len(s) > 3 {
		return 0, false
	}
	var name [3]byte
	for i := range len(s) {
		name[i] = s[i]
		if isAlpha(s[i]) {
			name[i] &^= 'a' - 'A'
		}
	}
	switch string(name[:len(s)]) {
	case "", "Z", "UT", "UTC", "GMT":
		return 0, true
	case "MET":
		return 1 * 60, true
	case "EET":
		return 2 * 60, true
	case "JST":
		return 9 * 60, true
	case "ADT":
		return -3 * 60, true
	case "AST", "EDT":
		return -4 * 60, true
	case "EST", "CDT":
		return -5 * 60, true
	case "CST", "MDT":
		return -6 * 60, true
	case "MST", "PDT":
		return -7 * 60, true
	case "PST", "YDT":
		return -8 * 60, true
	case "YST":
		return -9 * 60, true
	case "HST":
		return -10 * 60, true
	}
	if len(s) == 1 {
		return militaryZone(name[0])
	}
	return 0, false
}

// militaryZone returns the minutes of a zone letter other than Z: A to M east
// of Greenwich without J, N to Y west.
func militaryZone(c byte) (zone int16, known bool) {
	switch {
	case 'A' <= c && c <= 'I':
		return int16(c-'A'+1) * 60, true
	case 'K' <= c && c <= 'M':
		return int16(c-'K'+10) * 60, true
	case 'N' <= c && c <= 'Y':
		return -int16(c-'N'+1) * 60, true
	}
	return 0, false
}

// zoneNow returns the minutes that l is east of UTC now.
func zoneNow(l *time.Location) int16 {
	_, seconds := time.Now().In(l).Zone()
	return int16(seconds / 60)
}

// number reads blanks and decimal digits; no digits are 0. What is too large
// for any use here stays too large.
func number(s string) (n int, rest string) {
	t := strings.TrimLeft(s, " \t\n\v\f\r")
	if t == "" || !isDigit(t[0]) {
		return 0, s
	}
	for t != "" && isDigit(t[0]) {
		n = min(n*10+int(t[0]-'0'), 100_000_000)
		t = t[1:]
	}
	return n, t
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
