package mailbox

import "time"

// A Date is an internal date as formats keep it: fields and zone, not an
// instant, because real mail holds 31-Feb and second 60 and they must survive
// a copy. The zero Date means "none".
type Date struct {
	Year                             uint16
	Month, Day, Hour, Minute, Second uint8
	Zone                             int16 // minutes east of UTC
	MinusZero                        bool  // the zone was written -0000
}

// DateOf returns t's fields in t's own zone.
func DateOf(t time.Time) Date {
	_, off := t.Zone()
	return Date{
		Year: uint16(t.Year()), Month: uint8(t.Month()), Day: uint8(t.Day()),
		Hour: uint8(t.Hour()), Minute: uint8(t.Minute()), Second: uint8(t.Second()),
		Zone: int16(off / 60),
	}
}

// IsZero reports whether d is no date.
func (d Date) IsZero() bool { return d == Date{} }

// Time returns the instant; days and seconds past the end roll over.
func (d Date) Time() time.Time {
	return time.Date(int(d.Year), time.Month(d.Month), int(d.Day), int(d.Hour), int(d.Minute),
		int(d.Second), 0, time.FixedZone("", int(d.Zone)*60))
}

const monthNames = "JanFebMarAprMayJunJulAugSepOctNovDec"

// Append appends the date as IMAP and the mbx format write it, 26 octets with
// a blank-padded day: " 1-Jul-2001 02:03:04 -0700" (RFC 3501, date-time).
func (d Date) Append(b []byte) []byte {
	pad := func(n, width int, fill byte) {
		var tmp [8]byte
		i := len(tmp)
		for ; n > 0 || i == len(tmp); n /= 10 {
			i--
			tmp[i] = byte('0' + n%10)
		}
		for len(tmp)-i < width {
			i--
			tmp[i] = fill
		}
		b = append(b, tmp[i:]...)
	}
	pad(int(d.Day), 2, ' ')
	b = append(b, '-')
	m := min(max(int(d.Month), 1), 12)
	b = append(b, monthNames[3*m-3:3*m]...)
	b = append(b, '-')
	pad(int(d.Year), 4, '0')
	b = append(b, ' ')
	pad(int(d.Hour), 2, '0')
	b = append(b, ':')
	pad(int(d.Minute), 2, '0')
	b = append(b, ':')
	pad(int(d.Second), 2, '0')
	b = append(b, ' ')
	zone, sign := int(d.Zone), byte('+')
	if zone < 0 || d.MinusZero {
		zone, sign = -zone, '-'
	}
	b = append(b, sign)
	pad(zone/60*100+zone%60, 4, '0')
	return b
}

// String returns what Append appends.
func (d Date) String() string { return string(d.Append(nil)) }
