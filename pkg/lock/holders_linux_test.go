package lock

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const someLocks = `1: FLOCK  ADVISORY  WRITE 100 fe:00:264711 0 EOF
1: -> FLOCK  ADVISORY  READ  101 fe:00:264711 0 EOF
2: POSIX  ADVISORY  READ  102 fe:00:264711 0 EOF
3: OFDLCK ADVISORY  WRITE -1 fe:00:264711 0 EOF
4: FLOCK  ADVISORY  WRITE 103 fe:01:264711 0 EOF
5: FLOCK  ADVISORY  WRITE 104 fe:00:26471 0 EOF
6: LEASE  ACTIVE    READ  105 fe:00:264711 0 EOF
7: FLOCK
8: FLOCK  ADVISORY  WRITE many fe:00:264711 0 EOF
`

func TestReadLocks(t *testing.T) {
	st := unix.Stat_t{Dev: unix.Mkdev(0xfe, 0), Ino: 264711}
	for _, tt := range []struct {
		kinds []string
		want  []int
	}{
		{nil, []int{100, 102, 105}},
		{[]string{"FLOCK"}, []int{100}},
		{[]string{"POSIX", "OFDLCK"}, []int{102}},
	} {
		if got := readLocks(strings.NewReader(someLocks), st, tt.kinds); !slices.Equal(got, tt.want) {
			t.Errorf("kinds %v: got %v, want %v", tt.kinds, got, tt.want)
		}
	}
}

func FuzzReadLocks(f *testing.F) {
	f.Add(someLocks)
	f.Fuzz(func(t *testing.T, s string) {
		for _, pid := range readLocks(strings.NewReader(s), unix.Stat_t{}, nil) {
			if pid < 1 {
				t.Errorf("%q: got pid %d", s, pid)
			}
		}
	})
}
