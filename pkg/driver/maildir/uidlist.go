package maildir

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"mailutil/pkg/internal/fsx"
)

// Where UIDs are kept, the best first. Only the first is ever written.
const (
	uidlistFile  = "dovecot-uidlist"
	courierFile  = "courierimapuiddb" // version 1, of Courier IMAP
	mbsyncFile   = ".uidvalidity"     // UIDs are in the names, ",U="
	uidlistLock  = uidlistFile + ".lock"
	maxListLine  = 64 << 10
	listVersion  = 3
	versionOne   = 1
	guidOctets   = 16
	maxMbsyncLen = 256
)

// A header is the first line of a list of UIDs.
type header struct {
	version  int
	validity uint32
	next     uint32 // lines that were appended do not change it
	rest     string // fields that are not ours, "Gxxx ..."
}

var errNoList = errors.New("not the first line of a list of UIDs")

// parseHeader reads "3 Vn Nn Gx ..." or "1 n n".
func parseHeader(line string) (h header, err error) {
	f := strings.Fields(line)
	if len(f) < 2 {
		return h, errNoList
	}
	if f[0] == "1" && len(f) == 3 {
		h.version = versionOne
		if h.validity, err = parseUID(f[1]); err == nil {
			h.next, err = parseUID(f[2])
		}
		return h, err
	}
	if f[0] != "3" {
		return h, errNoList
	}
	h.version = listVersion
	var rest []string
	for _, s := range f[1:] {
		switch s[0] {
		case 'V':
			h.validity, err = parseUID(s[1:])
		case 'N':
			h.next, err = parseUID(s[1:])
		default:
			rest = append(rest, s)
		}
		if err != nil {
			return h, err
		}
	}
	h.rest = strings.Join(rest, " ")
	if h.validity == 0 || h.next == 0 {
		return h, errNoList
	}
	return h, nil
}

// parseUID reads a number from 1 to 2^32-1.
func parseUID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 || s[0] == '+' {
		return 0, errNoList
	}
	return uint32(n), nil
}

// print is the line, version 3.
func (h *header) print() []byte {
	b := fmt.Appendf(nil, "3 V%d N%d", h.validity, h.next)
	if h.rest != "" {
		b = append(append(b, ' '), h.rest...)
	}
	return append(b, '\n')
}

// newGUID is the field by which Dovecot tells mailboxes apart.
func newGUID() string {
	var b []byte
	for len(b) < guidOctets { // no secret: package crypto/rand is a tenth of a delivery agent
		b = binary.LittleEndian.AppendUint64(b, rand.Uint64())
	}
	return "G" + hex.EncodeToString(b[:guidOctets])
}

// A record is a line of a list of UIDs. Its slices are views of the line.
type record struct {
	uid  uint32
	exts []byte // fields between UID and name
	base []byte
}

// parseRecord reads "UID [EXT]... :NAME", or "UID NAME" of version 1.
func parseRecord(line []byte, version int) (r record, ok bool) {
	num, rest, ok := bytes.Cut(line, []byte(" "))
	uid, err := parseUID(string(num))
	if !ok || err != nil {
		return r, false
	}
	r.uid = uid
	if version == listVersion {
		i := bytes.IndexByte(rest, ':')
		if i < 0 || i > 0 && rest[i-1] != ' ' {
			return r, false
		}
		r.exts, rest = bytes.TrimSpace(rest[:i]), rest[i+1:]
	}
	r.base = rest[:baseLen(rest)]
	return r, len(r.base) > 0 && bytes.IndexByte(r.base, '/') < 0
}

// ext reads the number of an extension field, -1 for none.
func (r *record) ext(key byte) int64 {
	for _, f := range bytes.Fields(r.exts) {
		if f[0] == key {
			if n, err := strconv.ParseInt(string(f[1:]), 10, 64); err == nil && n >= 0 {
				return n
			}
		}
	}
	return -1
}

// A list is what was read of the list of UIDs, but for its lines.
type list struct {
	header
	exists  bool
	courier bool // there is one of Courier's, which counts
	dead    int  // lines of messages that are not there
	broken  bool // something could not be read: it must be written anew
}

// A problem is a line of a list that is not as it should be.
type problem struct {
	line int
	kind string // "header", "line", "order", "twice", "torn"
	text string
}

// readList reads a list of UIDs and calls each for its lines, in order. each
// says whether the line is of use; UIDs ascend. bad may be nil.
func (d *Driver) readList(path string, each func(r record) bool, bad func(problem)) (l list, err error) {
	if bad == nil {
		bad = func(problem) {}
	}
	f, err := fsx.OpenQuiet(d.fs, path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	defer f.Close() // read only
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return l, errors.Join(err, &fs.PathError{Op: "read", Path: path, Err: fs.ErrInvalid})
	}
	return scanList(io.NewSectionReader(f, 0, math.MaxInt64), each, bad)
}

// scanList is readList of an open list.
func scanList(from io.Reader, each func(r record) bool, bad func(problem)) (l list, err error) {
	l.exists = true
	in := bufio.NewReaderSize(from, maxListLine)
	last := uint32(0)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			if n == 1 {
				l.broken = true
				bad(problem{1, "header", "the list is empty"})
			}
			break
		}
		kind := ""
		switch {
		case err == io.EOF:
			kind = "torn"
		case errors.Is(err, bufio.ErrBufferFull):
			kind = "line"
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
		}
		if err != nil && err != io.EOF {
			return l, err
		}
		text := bytes.TrimSuffix(line, []byte("\n"))
		if kind == "" {
			kind = l.take(n, text, &last, each)
		}
		if kind == "dead" {
			l.dead++
		} else if kind != "" {
			l.broken = true
			bad(problem{n, kind, fmt.Sprintf("%.80q", text)})
		}
		if kind == "header" {
			return list{exists: true, broken: true}, nil
		}
	}
	if last >= l.next && l.next > 0 {
		l.next = last + 1 // 0 behind the last one there is
	}
	return l, nil
}

// take reads one line, and says what is wrong with it.
func (l *list) take(n int, text []byte, last *uint32, each func(r record) bool) (kind string) {
	if n == 1 {
		var err error
		if l.header, err = parseHeader(string(text)); err != nil {
			return "header"
		}
		return ""
	}
	r, ok := parseRecord(text, l.version)
	switch {
	case !ok:
		return "line"
	case r.uid <= *last:
		return "order"
	}
	*last = r.uid
	switch {
	case each(r):
		return ""
	case joined(text):
		return "line"
	}
	return "dead"
}

// joined reports whether a line is two whose end is lost, or damaged otherwise.
func joined(line []byte) bool { return garbled(line) || bytes.Count(line, []byte(" :")) > 1 }

// garbled reports whether a line has octets that none has.
func garbled(line []byte) bool { return bytes.ContainsFunc(line, isGarbled) }

func isGarbled(c rune) bool { return c < ' ' || c == 0x7F || c == utf8.RuneError }

// appendList adds lines to the list of UIDs, durably, in the shape "append".
func (d *Driver) appendList(dir string, lines []byte) error {
	f, err := d.fs.OpenFile(dir+"/"+uidlistFile, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err == nil {
		if _, err = f.WriteAt(lines, fi.Size()); err == nil {
			err = f.Sync()
		}
		if err != nil {
			err = errors.Join(err, f.Truncate(fi.Size()))
		}
	}
	return errors.Join(err, f.Close())
}

// rewriteList writes the list of UIDs anew with the lines that keep wants and
// those given, in the shape "replace". Extension fields stay.
func (d *Driver) rewriteList(dir string, h header, keep func(r record) bool, lines []byte) error {
	b := h.print()
	_, err := d.readList(dir+"/"+uidlistFile, func(r record) bool {
		if keep(r) {
			b = strconv.AppendUint(b, uint64(r.uid), 10)
			if len(r.exts) > 0 {
				b = append(append(b, ' '), r.exts...)
			}
			b = append(append(append(b, " :"...), r.base...), '\n')
		}
		return true
	}, nil)
	if err != nil {
		return err
	}
	return d.replace(dir, uidlistFile, append(b, lines...))
}

// appendRecord appends a line.
func appendRecord(b []byte, uid uint32, base []byte) []byte {
	b = strconv.AppendUint(b, uint64(uid), 10)
	return append(append(append(b, " :"...), base...), '\n')
}

// mbsyncHeader reads what mbsync keeps: UIDVALIDITY and the highest UID, each
// on a line.
func (d *Driver) mbsyncHeader(dir string) (h header, ok bool, err error) {
	b, err := d.readSmall(dir+"/"+mbsyncFile, maxMbsyncLen)
	if errors.Is(err, fs.ErrNotExist) {
		return h, false, nil
	}
	if err != nil {
		return h, false, err
	}
	f := strings.Fields(string(b))
	if len(f) != 2 {
		return h, false, nil
	}
	if h.validity, err = parseUID(f[0]); err != nil {
		return h, false, nil
	}
	last, err := strconv.ParseUint(f[1], 10, 32)
	if err != nil || last == math.MaxUint32 {
		return h, false, nil
	}
	h.version, h.next = listVersion, uint32(last)+1
	return h, true, nil
}
