package lock

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
)

// A fake locks and writes down when; err is what Lock gives.
type fake struct {
	name string
	log  *[]string
	err  error
}

func (l fake) Lock(context.Context, *os.File, Mode) (Held, error) {
	*l.log = append(*l.log, "+"+l.name)
	return l, l.err
}

func (l fake) Release() error {
	*l.log = append(*l.log, "-"+l.name)
	return l.err
}

func TestChain(t *testing.T) {
	var log []string
	a, b, c := fake{"a", &log, nil}, fake{"b", &log, nil}, fake{"c", &log, nil}
	bad := fake{"bad", &log, errors.New("bad")}
	for _, tt := range []struct {
		in   []Locker
		fail bool
		want []string
	}{
		{nil, false, nil},
		{[]Locker{a, b, c}, false, []string{"+a", "+b", "+c", "-c", "-b", "-a"}},
		{[]Locker{a, b, bad, c}, true, []string{"+a", "+b", "+bad", "-b", "-a"}},
		{[]Locker{Chain(a, b), c}, false, []string{"+a", "+b", "+c", "-c", "-b", "-a"}},
	} {
		log = nil
		h, err := Chain(tt.in...).Lock(context.Background(), nil, Shared)
		if (err != nil) != tt.fail {
			t.Errorf("got %v, want an error: %v", err, tt.fail)
		}
		if h != nil {
			for range 2 {
				if err := h.Release(); err != nil {
					t.Error(err)
				}
			}
		}
		if !slices.Equal(log, tt.want) {
			t.Errorf("got %v, want %v", log, tt.want)
		}
	}
}
