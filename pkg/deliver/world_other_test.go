//go:build !linux

package deliver_test

import (
	"errors"
	"syscall"
)

func namespace() *syscall.SysProcAttr { return nil }

func asUser(identity) *syscall.SysProcAttr { return nil }

func makeWorld() error { return errors.ErrUnsupported }
