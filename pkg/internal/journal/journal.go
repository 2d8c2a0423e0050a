// Package journal changes a mailbox file in place so that a power cut or a
// kill at any instant leaves the old octets or the new ones, never a mixture,
// and keeps the file's inode.
//
// What is to be written is made durable in a side file first, then copied into
// the mailbox, then the side file is emptied and removed. Whoever opens the
// mailbox next and finds a side file finishes the work (Recover), under the
// mailbox's exclusive lock. The side file is .NAME.journal beside the mailbox,
// or in the user's state directory where that directory is not writable.
package journal

import (
	"errors"

	"mailutil/pkg/internal/fsx"
)

var errStub = errors.New("journal: not built yet")

// Options say where side files may go.
type Options struct {
	FS       fsx.FS // nil: the real one
	StateDir string // for mailboxes in directories that are not writable; created 0700
}

// A Journal is one change of one file. The caller holds the file's exclusive
// lock from New to the end of Commit or Abort.
type Journal struct{}

// New begins a change of f, which is open for reading and writing.
func New(f fsx.File, o Options) (*Journal, error) { return nil, errStub }

// At begins a segment: what follows goes to offset off of the new file.
// Segments ascend and do not overlap. Octets of the file that no segment
// covers stay as they are.
func (j *Journal) At(off int64) error { return errStub }

// Write adds new octets to the segment.
func (j *Journal) Write(p []byte) (int, error) { return 0, errStub }

// Copy adds n octets of the file as it is now, from offset off.
func (j *Journal) Copy(off, n int64) error { return errStub }

// Offset is where the next Write goes in the new file.
func (j *Journal) Offset() int64 { return 0 }

// Commit makes the change: journal durable, file changed and cut or grown to
// size, file durable, journal gone. An error before the journal was durable
// means that the file is untouched; one after it means that the next Recover
// finishes the change (errors.Is ErrUnfinished).
func (j *Journal) Commit(size int64) error { return errStub }

// Abort forgets the change; safe after Commit.
func (j *Journal) Abort() error { return nil }

// ErrUnfinished is what Commit's error is when the change is durable but not
// carried out; it will be, by the next Recover.
var ErrUnfinished = errors.New("interrupted change, will be finished when the mailbox is opened next")

// A Tail is an append: octets written behind the end of a file, all of which
// are kept or none.
type Tail struct{}

// Append begins an append at the end of f as it is now.
func Append(f fsx.File, o Options) (*Tail, error) { return nil, errStub }

// Write adds octets.
func (t *Tail) Write(p []byte) (int, error) { return 0, errStub }

// Offset is the file offset of the next octet.
func (t *Tail) Offset() int64 { return 0 }

// Commit makes the octets part of the file, durably. After an error the file
// is as it was.
func (t *Tail) Commit() error { return errStub }

// Abort cuts the file back; safe after Commit.
func (t *Tail) Abort() error { return nil }

// Recover finishes what an interrupted Commit left (or undoes an interrupted
// append). The caller holds the exclusive lock on f, which is open for reading
// and writing. What was appended to the file by others since the interruption
// is kept behind the finished change. Did is "" where nothing was to be done,
// else a sentence for the user.
func Recover(f fsx.File, o Options) (did string, err error) { return "", nil }

// Pending reports whether the mailbox at path has a side file that Recover
// should see. It costs one lstat (two with a state directory).
func Pending(path string, o Options) (bool, error) { return false, nil }
