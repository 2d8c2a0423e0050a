package lock

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
)

// Chain takes the locks in order and releases them in reverse; all or none.
// Each waits for itself, by its own options.
func Chain(l ...Locker) Locker { return chain(l) }

// File is the lock that is held while a unix or mmdf file is read or written:
// Dot, Fcntl, Flock, in that order. Outside Linux Fcntl is left out: there it
// would stand in the way of our own Flock, and Flock keeps off those who take
// fcntl locks just as well.
func File(o Options) Locker {
	if !fcntlApart {
		return Chain(Dot(o), Flock(o))
	}
	return Chain(Dot(o), Fcntl(o), Flock(o))
}

type chain []Locker

func (c chain) Lock(ctx context.Context, f *os.File, m Mode) (Held, error) {
	var all []Held
	for _, l := range c {
		h, err := l.Lock(ctx, f, m)
		if err != nil {
			if releaseErr := releaseAll(all); releaseErr != nil {
				err = errors.Join(err, releaseErr)
			}
			return nil, err
		}
		all = append(all, h)
	}
	return &once{sync.OnceValue(func() error { return releaseAll(all) }), func() error { return renewAll(all) }}, nil
}

func renewAll(all []Held) error {
	var errs []error
	for _, h := range all {
		errs = append(errs, Renew(h))
	}
	return errors.Join(errs...)
}

// Renew keeps a lock that is held from being taken for that of a dead process:
// it makes a dot lock young again. Other locks do not age.
func Renew(h Held) error {
	if o, ok := h.(*once); ok && o.renew != nil {
		return o.renew()
	}
	return nil
}

// releaseAll releases the last first.
func releaseAll(all []Held) error {
	var errs []error
	for _, h := range slices.Backward(all) {
		errs = append(errs, h.Release())
	}
	return errors.Join(errs...)
}

// A once is a lock that is released once.
type once struct {
	release func() error
	renew   func() error // nil where it does not age
}

func (o *once) Release() error { return o.release() }

// held makes a Held of what is to be done once, at the first Release. Later
// ones return the same.
func held(release func() error) Held { return &once{sync.OnceValue(release), nil} }

// none is a lock that was left out.
var none = held(func() error { return nil })
