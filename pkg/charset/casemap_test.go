package charset

import "testing"

func TestCasemap(t *testing.T) {
	for _, tt := range []struct{ a, b string }{
		{"Köln", "KÖLN"}, {"é", "e\u0301"}, {"ǆ", "Ǆ"}, {"abc", "ABC"}, {"", ""}, {"\xff", "\xff"},
	} {
		if a, b := Casemap(tt.a), Casemap(tt.b); a != b {
			t.Errorf("%q and %q: got %q and %q, want the same", tt.a, tt.b, a, b)
		}
	}
	if Casemap("a") == Casemap("ä") {
		t.Error("a and ä are the same")
	}
}
