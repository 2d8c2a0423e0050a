package fsx

// behindStep is how much is written before the disk is told to begin.
const behindStep = 8 << 20

// A Behind lets the disk work while a large file is still being written, front
// to back, so that the Sync at the end has little left to do.
type Behind struct {
	f       File
	started int64 // writing began up to here
}

// NewBehind returns a Behind for f, of which the octets from off on are to be
// written.
func NewBehind(f File, off int64) *Behind { return &Behind{f, off} }

// Wrote says that f has been written up to end.
func (b *Behind) Wrote(end int64) {
	if end-b.started >= behindStep {
		startWriteback(b.f, b.started, end-b.started)
		b.started = end
	}
}
