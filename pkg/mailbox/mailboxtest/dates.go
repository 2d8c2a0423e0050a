package mailboxtest

import (
	"mailutil/pkg/mailbox"
)

// dates are internal dates that mail really has.
var dates = []mailbox.Date{
	{Year: 2001, Month: 7, Day: 1, Hour: 2, Minute: 3, Second: 4, Zone: -7 * 60},
	{Year: 2024, Month: 2, Day: 29, Hour: 23, Minute: 59, Second: 60},
	{Year: 1999, Month: 12, Day: 31, Hour: 23, Minute: 59, Second: 59, Zone: 14 * 60},
	{Year: 2000, Month: 1, Day: 1, Zone: -12 * 60},
	{Year: 2000, Month: 1, Day: 1, Zone: -30},
	{Year: 2010, Month: 10, Day: 10, Hour: 10, MinusZero: true},
	{Year: 2015, Month: 6, Day: 15, Hour: 12, Zone: 5*60 + 45},
	{Year: 2001, Month: 2, Day: 31, Hour: 1},
	{Year: 1970, Month: 1, Day: 1, Zone: 60},
	{Year: 2097, Month: 12, Day: 31, Hour: 23},
}

// testDates adds dates and wants them back, or told that they are not.
func testDates(b *bench) {
	n := b.box("box")
	var items []mailbox.Item
	for _, d := range append(dates, mailbox.Date{Year: 1905, Month: 3, Day: 3}, mailbox.Date{Year: 9999, Month: 3, Day: 3}) {
		it := letterOf(d.String())
		it.Date = d
		items = append(items, it)
	}
	alts := b.add(n, mailbox.AppendOptions{}, items...)
	check := func(when string) {
		mb := b.open(n, mailbox.ReadOnly)
		defer b.close(mb)
		for i, m := range b.messages(mb) {
			want := items[i].Date
			same := m.Date == want || !b.h.Zone && m.Date.Time().Equal(want.Time())
			if alts[i].Dates == 0 && !same {
				b.Errorf("%s: date\n got %+v\nwant %+v, for nothing was reported", when, m.Date, want)
			}
			if b.h.Zone && i < len(dates) && alts[i].Dates != 0 {
				b.Errorf("%s: date %v was altered", when, want)
			}
		}
	}
	check("appended")
	b.settle(n)
	check("after a read-write session")
}

// testNoDate gives no date, and wants that of the arrival.
func testNoDate(b *bench) {
	n := b.box("box")
	it := letterOf("x")
	it.Date = mailbox.Date{}
	before := b.env.Now().Unix()
	b.add(n, mailbox.AppendOptions{}, it)
	after := b.env.Now().Unix()
	mb := b.open(n, mailbox.ReadOnly)
	defer b.close(mb)
	for _, m := range b.messages(mb) {
		if got := m.Date.Time().Unix(); got < before || got > after {
			b.Errorf("date of a message that has none: got %v, want now", m.Date)
		}
	}
}
