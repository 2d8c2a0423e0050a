package mailbox

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSet(t *testing.T) {
	of := func(seqs ...uint32) (s Set) {
		for _, q := range seqs {
			s.Add(q)
		}
		return s
	}
	for _, tt := range []struct {
		name string
		in   Set
		want []uint32 // members up to 20
	}{
		{"empty", Set{}, nil},
		{"one", One(7), []uint32{7}},
		{"range", Range(3, 5), []uint32{3, 4, 5}},
		{"backward range", Range(5, 3), nil},
		{"ascending, touching", of(1, 2, 3, 9), []uint32{1, 2, 3, 9}},
		{"descending", of(9, 3, 2, 2), []uint32{2, 3, 9}},
		{"union overlapping", Range(1, 5).Union(Range(4, 7)), []uint32{1, 2, 3, 4, 5, 6, 7}},
		{"union touching", Range(1, 2).Union(Range(3, 4)), []uint32{1, 2, 3, 4}},
		{"union with all", All.Union(One(3)), []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}},
	} {
		got := slices.Collect(tt.in.Seqs(20))
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		if tt.in.Empty() != (len(tt.want) == 0) {
			t.Errorf("%s: Empty is %v", tt.name, tt.in.Empty())
		}
	}
	if !All.Contains(math.MaxUint32) || !All.Contains(1) {
		t.Error("All lacks an end")
	}
}

// TestSetAgainstMap compares random sets with the obvious way to keep one.
func TestSetAgainstMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		var s Set
		want := map[uint32]bool{}
		for range rng.IntN(60) {
			q := 1 + rng.Uint32N(40)
			s.Add(q)
			want[q] = true
		}
		n := 0
		for q := uint32(1); q <= 41; q++ {
			if s.Contains(q) != want[q] {
				t.Fatalf("round %d: Contains(%d): got %v, want %v", round, q, s.Contains(q), want[q])
			}
		}
		last := uint32(0)
		for q := range s.Seqs(math.MaxUint32) {
			if q <= last || !want[q] {
				t.Fatalf("round %d: Seqs gave %d after %d", round, q, last)
			}
			last = q
			n++
		}
		if n != len(want) {
			t.Fatalf("round %d: got %d members, want %d", round, n, len(want))
		}
	}
}

func TestFlagsApply(t *testing.T) {
	f := Flags{System: Seen | Recent, Keywords: 0b01}
	for _, tt := range []struct {
		name string
		op   FlagOp
		with Flags
		want Flags
	}{
		{"add", Add, Flags{Deleted, 0b10}, Flags{Seen | Recent | Deleted, 0b11}},
		{"add cannot set Recent", Add, Flags{System: Recent}, f},
		{"remove", Remove, Flags{Seen, 0b01}, Flags{System: Recent}},
		{"remove cannot clear Recent", Remove, Flags{System: Recent}, f},
		{"replace keeps Recent", Replace, Flags{Draft, 0b10}, Flags{Draft | Recent, 0b10}},
	} {
		if got := f.Apply(tt.op, tt.with); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestFlagNames(t *testing.T) {
	f := Flags{System: Seen | Draft, Keywords: 0b101}
	want := []string{`\Seen`, `\Draft`, "$Work", "Junk"}
	if got := f.Names([]string{"$Work", "Later", "Junk"}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestValidKeyword(t *testing.T) {
	long := "x123456789x123456789x123456789x123456789x123456789"
	for in, want := range map[string]bool{
		"$Work": true, "a": true, long: true, "": false, long + "y": false,
		"a b": false, "a(b": false, `a\b`: false, "a]b": false, "caf\xe9": false, "a\x7f": false, "a\n": false,
	} {
		if got := ValidKeyword(in); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
}

func TestAlteredSays(t *testing.T) {
	for _, tt := range []struct {
		in   Altered
		want string
	}{
		{Altered{}, ""},
		{Altered{QuotedFrom: 1}, `1 line beginning "From " quoted with ">"`},
		{Altered{QuotedFrom: 1}.Plus(Altered{QuotedFrom: 2, Newlines: 1}), `3 lines beginning "From " quoted with ">", 1 missing newline added`},
	} {
		if got := tt.in.Words(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
		if tt.in.Any() != (tt.want != "") {
			t.Errorf("%q: Any is %v", tt.want, tt.in.Any())
		}
	}
}

func TestDate(t *testing.T) {
	for _, tt := range []struct {
		in   Date
		want string
	}{
		{Date{Year: 2001, Month: 7, Day: 1, Hour: 2, Minute: 3, Second: 4, Zone: -7 * 60}, " 1-Jul-2001 02:03:04 -0700"},
		{Date{Year: 2024, Month: 2, Day: 31, Second: 60, Zone: 330}, "31-Feb-2024 00:00:60 +0530"},
		{Date{Year: 1999, Month: 12, Day: 31, MinusZero: true}, "31-Dec-1999 00:00:00 -0000"},
		{Date{Year: 1999, Month: 12, Day: 31, Zone: -30}, "31-Dec-1999 00:00:00 -0030"},
	} {
		if got := tt.in.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
