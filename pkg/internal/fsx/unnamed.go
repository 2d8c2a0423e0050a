package fsx

import (
	"errors"
	"os"
)

// Unnamed makes a file in dir that has no name there: it is gone when it is
// closed, or its process killed.
func Unnamed(dir string) (*os.File, error) {
	if f, err := openUnnamed(dir); err == nil {
		return f, nil
	}
	f, err := os.CreateTemp(dir, ".mailutil-*") // a kill right here leaves it
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
