package mbx

import (
	"fmt"
	"io"
	"path/filepath"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// A recorder writes records with the keywords and UIDs that the format holds.
type recorder struct {
	*flocked.Recorder
	d     *Driver
	block *block // keywords are created here, in memory
	o     mailbox.AppendOptions
	bits  []uint32 // of o.Keywords; 0 where not looked up, or not possible
	first uint32   // UIDs kept
	last  uint32
}

// newRecorder returns what writes to to, of the mailbox at path.
func newRecorder(d *Driver, to io.Writer, k *block, o mailbox.AppendOptions, path string) *recorder {
	r := &recorder{d: d, block: k, o: o, bits: make([]uint32, len(o.Keywords))}
	for i := range o.Keywords {
		r.keyword(i)
	}
	r.Recorder = &flocked.Recorder{To: to, Dir: filepath.Dir(path), Most: maxSize, Line: r.appendLine}
	return r
}

// keyword returns the bit of o.Keywords[i], creating it; 0 where that is not
// possible.
func (r *recorder) keyword(i int) uint32 {
	if r.bits[i] == 0 {
		name := r.o.Keywords[i]
		if r.bits[i] = r.block.bit(name); r.bits[i] == 0 {
			r.bits[i], _ = r.block.create(name) // told by Altered
		}
	}
	return r.bits[i]
}

// appendLine appends the internal line of it to b.
func (r *recorder) appendLine(b []byte, it mailbox.Item, size int64) ([]byte, mailbox.Altered, error) {
	date, now, a := r.d.files().Date(it)
	uid, err := r.uid(it.UID)
	if err != nil {
		return b, a, err
	}
	var keywords uint32
	for i := range min(len(r.bits), mailbox.MaxKeywords) {
		if it.Flags.Keywords&(1<<i) == 0 {
			continue
		}
		bit := r.keyword(i)
		keywords |= bit
		if bit == 0 {
			a.Keywords++
		}
	}
	return appendLine(b, date, now, size, keywords, sysbits.Bits[uint16](it.Flags.System), uid), a, nil
}

// uid returns the UID to write: none, unless the caller brings them.
func (r *recorder) uid(uid uint32) (uint32, error) {
	if !r.o.New || r.o.UIDValidity == 0 {
		return 0, nil
	}
	if uid <= r.last {
		return 0, fmt.Errorf("UID %d after UID %d", uid, r.last)
	}
	if r.first == 0 {
		r.first = uid
	}
	r.last = uid
	return uid, nil
}
