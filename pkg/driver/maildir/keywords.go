package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// keywordsFile names the keyword letters, lines "SLOT NAME", slot 0 being a.
const keywordsFile = "dovecot-keywords"

// maxKeywordsFile is more than any such file has.
const maxKeywordsFile = 1 << 20

// Slots are the names of the letters; "" for one without a name. Slots are
// never renumbered.
type slots [maxLetter]string

// parseSlots reads dovecot-keywords. Lines that are none are passed over, and
// told to bad where that is not nil.
func parseSlots(b []byte, bad func(line int, text []byte)) (s slots) {
	for n := 1; len(b) > 0; n++ {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		num, name, ok := strings.Cut(string(line), " ")
		slot, err := strconv.ParseUint(num, 10, 8)
		switch {
		case !ok || err != nil || name == "" || strings.ContainsAny(name, " \r\x00"):
		case slot >= maxLetter: // known to Dovecot's index alone
			continue
		case s[slot] == "":
			s[slot] = name
			continue
		}
		if bad != nil {
			bad(n, line)
		}
	}
	return s
}

// print is what parseSlots reads.
func (s *slots) print() []byte {
	var b []byte
	for i, name := range s {
		if name != "" {
			b = fmt.Appendf(b, "%d %s\n", i, name)
		}
	}
	return b
}

// find returns the slot of a keyword in any case, -1 for none.
func (s *slots) find(name string) int {
	for i, have := range s {
		if have != "" && strings.EqualFold(have, name) {
			return i
		}
	}
	return -1
}

// create returns the slot of a keyword, a new one where it has none; -1 where
// it can have none. used are letters that names bear: one that has no name is
// not given to another keyword.
func (s *slots) create(name string, used uint32) int {
	if i := s.find(name); i >= 0 {
		return i
	}
	if !mailbox.ValidKeyword(name) {
		return -1
	}
	if i := unknownSlot(name); i >= 0 && s[i] == "" {
		s[i] = name
		return i
	}
	for i, have := range s {
		if have == "" && used&(1<<i) == 0 {
			s[i] = name
			return i
		}
	}
	return -1
}

// unknownSlot is the slot in the name of a keyword of which there is only the
// letter, "unknown-7", -1 for other names.
func unknownSlot(name string) int {
	digits, ok := strings.CutPrefix(name, "unknown-")
	i, err := strconv.ParseUint(digits, 10, 8)
	if !ok || err != nil || i >= maxLetter {
		return -1
	}
	return int(i)
}

// A table gives keyword bits to letters.
type table struct {
	slots
	names []string
	bits  [maxLetter]uint64 // bit of each letter, 0 for a letter that nobody uses
}

// newTable makes the bits of the named slots and the letters that are used. A
// letter without a name is called as Dovecot calls it.
func newTable(s slots, used uint32) (t table) {
	t.slots = s
	for i, name := range s {
		if name == "" && used&(1<<i) == 0 {
			continue
		}
		if name == "" {
			name = fmt.Sprint("unknown-", i)
		}
		t.bits[i] = t.bit(name)
	}
	return t
}

// bit returns the bit of a name, which is added where there is room.
func (t *table) bit(name string) uint64 {
	for i, have := range t.names {
		if strings.EqualFold(have, name) {
			return 1 << i
		}
	}
	if len(t.names) == mailbox.MaxKeywords {
		return 0
	}
	t.names = append(t.names, name)
	return 1 << (len(t.names) - 1)
}

// keywords are the bits of letters.
func (t *table) keywords(letters uint32) (bits uint64) {
	for i := 0; letters != 0; i, letters = i+1, letters>>1 {
		if letters&1 != 0 {
			bits |= t.bits[i]
		}
	}
	return bits
}

// readSlots reads the keywords of a mailbox. A file that does not exist has
// none; is tells whether it does.
func (d *Driver) readSlots(dir string) (s slots, is bool, err error) {
	b, err := d.readSmall(dir+"/"+keywordsFile, maxKeywordsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	return parseSlots(b, nil), err == nil, err
}

// readSmall reads a file that cannot be large; what it has behind limit is left
// out.
func (d *Driver) readSmall(path string, limit int64) ([]byte, error) {
	f, err := fsx.OpenQuiet(d.fs, path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return nil, errors.Join(err, &fs.PathError{Op: "read", Path: path, Err: fs.ErrInvalid})
	}
	return io.ReadAll(io.NewSectionReader(f, 0, limit))
}

// writeSlots writes the keywords of a mailbox, in the shape "replace". The lock
// is held.
func (d *Driver) writeSlots(dir string, s *slots) error {
	return d.replace(dir, keywordsFile, s.print())
}
