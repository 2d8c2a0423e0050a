package utf7

import "testing"

func TestEncode(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "",
		"Work/a b~":          "Work/a b~",
		"R&D":                "R&-D",
		"Entwürfe":           "Entw&APw-rfe",
		"~peter/mail/台北/日本語": "~peter/mail/&U,BTFw-/&ZeVnLIqe-", // the example of RFC 3501
		"é&é":                "&AOk-&-&AOk-",
		"📬":                  "&2D3c7A-",
		"tab\t":              "tab&AAk-",
	} {
		if got := Encode(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
