//go:build !linux

package deliver_test

import (
	"errors"
	"syscall"
	"testing"
)

func namespace() *syscall.SysProcAttr { return nil }

func asUser(identity) *syscall.SysProcAttr { return nil }

const disk = ""

func makeWorld() error { return errors.ErrUnsupported }

func mountOver(testing.TB, string, string) {}

func mountLayer(testing.TB, string, string) {}

func mountSmall(*testing.T, string, string) {}
