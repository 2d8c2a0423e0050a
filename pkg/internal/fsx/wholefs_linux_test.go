package fsx

import "testing"

// What waits for the disks is what /proc/meminfo says is dirty or being written.
func TestWaiting(t *testing.T) {
	for text, want := range map[string]int64{
		"": 0,
		"MemTotal:  100 kB\nDirty:               4 kB\nWriteback:           3 kB\nWritebackTmp:        9 kB\n": 7 << 10,
		"Dirty:":                       0,
		"Dirty: x kB\nWriteback: 1 kB": 1 << 10,
	} {
		if got := waiting([]byte(text)); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}
