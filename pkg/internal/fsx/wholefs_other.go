//go:build !linux

package fsx

import "errors"

func openFS(string) (WholeFS, error) { return nil, errors.ErrUnsupported }
