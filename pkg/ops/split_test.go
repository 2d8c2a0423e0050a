package ops_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// Each message is in one part, in its order, and no part of more than one
// message is larger than it may be; the names come in order.
func TestSplit(t *testing.T) {
	home := t.TempDir()
	s := corpusSession(t, home)
	octets, err := os.ReadFile("../../testdata/mail/archive")
	if err == nil {
		err = os.WriteFile(filepath.Join(home, "src"), octets, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, all := lettersIn(t, s, "src")
	for _, by := range []ops.Division{{}, {Months: true}, {Octets: 1}, {Octets: 700}, {Octets: 1 << 40}} {
		dst := fmt.Sprintf("by-%v-%d", by.Months, by.Octets)
		parts, n, err := s.Split(t.Context(), "src", dst, by)
		if err != nil || int(n) != len(all) {
			t.Fatal(n, err)
		}
		found := 0
		for i, p := range parts {
			if i > 0 && p.Target <= parts[i-1].Target {
				t.Errorf("%s comes before %s", parts[i-1].Target, p.Target)
			}
			acc, err := s.Copy(t.Context(), p.Source, p.Target, ops.CopyOptions{Create: true, Verify: true, Where: p.Where})
			if err != nil || acc.Found == 0 || acc.Copied != acc.Found {
				t.Errorf("%s: %s, %v", p.Target, acc.Equation(), err)
			}
			if by.Octets > 0 && acc.Found > 1 && acc.Octets > by.Octets {
				t.Errorf("%s: %d octets", p.Target, acc.Octets)
			}
			_, in := lettersIn(t, s, p.Target)
			for _, l := range in {
				date := fmt.Sprintf("%s-%04d-%02d", dst, l.Date.Year, l.Date.Month)
				if by.Octets == 0 && p.Target != date && p.Target != date[:len(date)-3] {
					t.Errorf("%s: a message of %v", p.Target, l.Date)
				}
			}
			found += int(acc.Found)
		}
		if want := map[ops.Division]int{{Octets: 1}: len(all), {Octets: 1 << 40}: 1, {}: 1, {Months: true}: 3}[by]; found != len(all) || want > 0 && len(parts) != want {
			t.Errorf("%+v: %d of %d messages in %d parts, want %d", by, found, len(all), len(parts), want)
		}
	}
	if _, _, err := s.Split(t.Context(), "nobody", "x", ops.Division{}); !errors.Is(err, mailbox.ErrNotExist) {
		t.Errorf("a mailbox that is not there: %v", err)
	}
}
