//go:build !linux

package journal

import "mailutil/pkg/internal/fsx"

// reserve does nothing here: a disk that is full half way through a change
// leaves it to Recover.
func reserve(fsx.File, int64, int64) error { return nil }
