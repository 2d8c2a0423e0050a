package mailbox

import "testing"

func TestFindingString(t *testing.T) {
	for _, tt := range []struct {
		f    Finding
		want string
	}{
		{
			Finding{Code: "mbx.size-long", Off: 3126, Line: 80, Seq: 4, Severity: Damage, Text: "size is 30 octets too large"},
			"message 4, octet 3126, line 80: damage: size is 30 octets too large [mbx.size-long]",
		},
		{Finding{Code: "mbx.uidlast-low", Off: 0, Text: "x"}, "octet 0: doubt: x [mbx.uidlast-low]"},
		{Finding{Code: "unix.journal", Off: -1, Severity: Damage, Text: "x"}, "damage: x [unix.journal]"},
	} {
		if got := tt.f.String(); got != tt.want {
			t.Errorf("%+v\n got %s\nwant %s", tt.f, got, tt.want)
		}
	}
}

func TestInspectionString(t *testing.T) {
	i := Inspection{Driver: "mbx", Path: "/m/a", Messages: 1}
	if got, want := i.String(), "/m/a: mbx mailbox of 1 message, sound"; got != want || !i.Sound() {
		t.Errorf("got %s, %v\nwant %s", got, i.Sound(), want)
	}
	i.Messages = 2
	i.Count(Finding{Severity: Damage})
	i.Count(Finding{Severity: Doubt})
	i.Count(Finding{Severity: Doubt})
	want := "/m/a: mbx mailbox of 2 messages, damaged in 1 place, 2 doubts; run mailutil repair"
	if got := i.String(); got != want || i.Sound() {
		t.Errorf("got %s, %v\nwant %s", got, i.Sound(), want)
	}
}
