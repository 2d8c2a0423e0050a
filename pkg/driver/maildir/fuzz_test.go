package maildir

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
)

// A name with other flags has these flags, the same base and the same rest.
func FuzzName(f *testing.F) {
	for _, s := range []string{
		"1795406194.M945761P16598.vm,S=150,W=157:2,FRab", "1.a:1,xyz", "1.a:2,S,extra", "a:2,:2,S", ",S=,W=-1,S=+5", "x:", ":2,",
		"9999999999999999999999.M9", "1.a,U=7:2,PZ",
	} {
		f.Add(s, byte(5), uint32(3))
	}
	f.Fuzz(func(t *testing.T, name string, flags byte, letters uint32) {
		b := []byte(name)
		sizes(b)
		named(b)
		field(b, "U=")
		want, keywords := mailbox.SystemFlags(flags)&(mailbox.Recent-1), letters&(1<<maxLetter-1)
		out := withFlags(name, want, keywords)
		got, gotKeywords := parseFlags([]byte(out))
		if got != want || gotKeywords != keywords {
			t.Errorf("%q: got %q: flags %v, keywords %b, want %v, %b", name, out, got, gotKeywords, want, keywords)
		}
		if out[:baseLen([]byte(out))] != name[:baseLen(b)] {
			t.Errorf("%q: got %q, of another base", name, out)
		}
		if again := withFlags(out, want, keywords); again != out {
			t.Errorf("%q, then %q", out, again)
		}
		oldFlags, oldKeywords := parseFlags(b)
		if back := withFlags(out, oldFlags, oldKeywords); strings.Contains(name, infoSep) && len(back) > len(name) {
			t.Errorf("%q became %q", name, back)
		}
	})
}

// What is read of a list of UIDs ascends, and a list that is written of it
// reads the same.
func FuzzList(f *testing.F) {
	f.Add([]byte("3 V1795406194 N5 Ge82a5f3872b9036bd640000083ecc375\n1 :1795406194.M945761P16598.vm,S=150,W=157\n2 W5 Z :b:2,S\n"))
	f.Add([]byte("1 1357902468 9\n3 1700000000.M1\n5 x\n"))
	f.Add([]byte("3 V1 N1\n4294967295 :a\n1 :b\n\x00\n2 "))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, last := []byte(nil), uint32(0)
		l, err := scanList(bytes.NewReader(b), func(r record) bool {
			if r.uid <= last || len(r.base) == 0 {
				t.Errorf("UID %d after %d, base %q", r.uid, last, r.base)
			}
			last = r.uid
			r.ext('W')
			text = appendRecord(text, r.uid, r.base)
			return true
		}, func(problem) {})
		if err != nil || l.validity == 0 {
			return
		}
		if l.next != 0 && l.next <= last {
			t.Errorf("next UID %d, last %d", l.next, last)
		}
		if l.next == 0 {
			return
		}
		again := append(l.header.print(), text...)
		var same []byte
		m, err := scanList(bytes.NewReader(again), func(r record) bool {
			same = appendRecord(same, r.uid, r.base)
			return true
		}, func(p problem) { t.Errorf("%q: written anew: %+v", b, p) })
		if err != nil || !bytes.Equal(same, text) || m.validity != l.validity || m.next != l.next {
			t.Errorf("%q: written anew %q: %+v, %v", b, again, m, err)
		}
	})
}

func FuzzKeywords(f *testing.F) {
	f.Add([]byte("0 $Forwarded\n1 Work\n30 x\n7 a b\n"), []byte("One\nTwo\n\n1.a:0 1\n"))
	f.Fuzz(func(t *testing.T, b, courier []byte) {
		s := parseSlots(b, func(int, []byte) {})
		if again := parseSlots(s.print(), func(n int, text []byte) { t.Errorf("line %d: %q", n, text) }); again != s {
			t.Errorf("%q: got %q, then %q", b, s, again)
		}
		for base, names := range parseCourier(courier) {
			for _, name := range names {
				if base == "" || !mailbox.ValidKeyword(name) {
					t.Errorf("%q: keyword %q", base, name)
				}
			}
		}
		courierChange("." + string(courier))
	})
}

// A list of changes speaks of messages only, or is none.
func FuzzPending(f *testing.F) {
	f.Add(printPending([]step{{"tmp/a", "new/a"}, {"cur/b:2,", ""}, slotsStep}))
	f.Add(printPending([]step{{"tmp/../../x", "new/a"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		steps, ok := parsePending(b)
		if !ok {
			return
		}
		for _, s := range steps {
			for _, name := range []string{s.from, s.to} {
				if strings.Count(name, "/") > 1 || strings.Contains(name, "/.") || strings.HasPrefix(name, "/") {
					t.Errorf("step %q", s)
				}
			}
		}
		if again, ok := parsePending(printPending(steps)); !ok || len(again) != len(steps) {
			t.Errorf("%q: written anew: %v, %v", b, again, ok)
		}
	})
}

func TestMain(m *testing.M) {
	if role := os.Getenv("MAILUTIL_TEST_ROLE"); role != "" {
		os.Exit(play(role))
	}
	os.Exit(m.Run())
}
