package mailgen

import (
	"bytes"
	"testing"
)

func TestSameSeedSameMail(t *testing.T) {
	var a, b bytes.Buffer
	n, err := Unix(&a, 7, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Unix(&b, 7, 1<<20); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("same seed, different mail")
	}
	if got := bytes.Count(append([]byte("\n"), a.Bytes()...), []byte("\nFrom ")); got != n {
		t.Errorf("From_ lines: got %d, want %d", got, n)
	}
	if a.Len() < 1<<20 {
		t.Errorf("size: got %d, want at least %d", a.Len(), 1<<20)
	}
}
