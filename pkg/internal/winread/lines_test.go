package winread

import (
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	text := "a\nbb\n\n" + strings.Repeat("x", 200<<10) + "\nend"
	l := NewLines(strings.NewReader(text), int64(len(text)))
	for _, off := range []int{0, 1, 2, 4, 5, 6, 150 << 10, 149 << 10, len(text) - 1, len(text), 3, 0} {
		got, err := l.At(int64(off))
		if want := int64(strings.Count(text[:off], "\n")) + 1; got != want || err != nil {
			t.Errorf("octet %d: got line %d, %v; want %d", off, got, err, want)
		}
	}
	cut := NewLines(strings.NewReader("a"), 9)
	if _, err := cut.At(5); err == nil {
		t.Error("a file that was cut: got no error")
	}
}
