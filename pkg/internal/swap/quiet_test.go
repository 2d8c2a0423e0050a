package swap

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestQuiet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box")
	put(t, path, "x", false)
	probe, err := os.Open(path)
	must(t, err)
	_, known := openElsewhere(probe)
	must(t, probe.Close())
	if !known {
		t.Skip("the system does not say who has files open")
	}
	if quiet, err := Quiet(t.Context(), path, 0); !quiet || err != nil {
		t.Errorf("nobody has it: got %v, %v", quiet, err)
	}
	f, err := os.Open(path)
	must(t, err)
	if quiet, err := Quiet(t.Context(), path, 0); quiet || err != nil {
		t.Errorf("it is open: got %v, %v", quiet, err)
	}
	go f.Close()
	if quiet, err := Quiet(t.Context(), path, time.Minute); !quiet || err != nil {
		t.Errorf("it was closed: got %v, %v", quiet, err)
	}
	if _, err := Quiet(t.Context(), path+"x", 0); err == nil {
		t.Error("missing: no error")
	}
}
