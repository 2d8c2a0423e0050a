package mbx

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
)

func TestParseSize(t *testing.T) {
	for in, want := range map[string]struct {
		n  int64
		ok bool
	}{
		"47": {47, true}, "0047": {47, true}, "+47": {47, true}, " \t47": {47, true}, "47x": {47, true},
		"-47": {-47, true}, "9999999999999": {9999999999999, true},
		"0": {0, false}, "": {0, false}, "-0": {0, false},
		"x47": {0, true}, "0x": {0, true}, "+": {0, true}, " ": {0, true}, // nobody's size, but taken
		strings.Repeat("9", 40): {0, false},
	} {
		if n, ok := parseSize([]byte(in)); n != want.n || ok != want.ok {
			t.Errorf("%q: got %d, %v; want %d, %v", in, n, ok, want.n, want.ok)
		}
	}
}

func TestKeywordBlock(t *testing.T) {
	k := block{validity: 1, lines: []string{"a", strings.Repeat("b", 51)}}
	if k.bit("A") != 1 || k.bit(k.lines[1]) != 0 || k.named() != 1 || len(k.names()) != 2 || k.names()[1] != "" {
		t.Errorf("got bits %d, %d, named %b, names %q", k.bit("A"), k.bit(k.lines[1]), k.named(), k.names())
	}
	if bit, err := k.create("c"); bit != 4 || err != nil {
		t.Errorf("create: got %d, %v", bit, err)
	}
	k.lines[1] = strings.Repeat("b", 1905)
	if _, err := k.create(strings.Repeat("d", 50)); !errors.Is(err, mailbox.ErrUnsupported) || len(k.lines) != 3 {
		t.Errorf("no room: got %v, %d lines", err, len(k.lines))
	}
	// Of LASTPID the original reads six digits, and writes eight.
	k = block{pid: 0x12345678, hasPID: true}
	p, _ := k.print()
	if back, ok := parseBlock(p); !ok || back.pid != 0x345678 || !samePID(back.pid, k.pid) {
		t.Errorf("LASTPID: got %x, %v", back.pid, ok)
	}
}

// mbxOf is a mailbox of the given lines, each with a text of one octet.
func mbxOf(uidLast uint32, lines ...string) []byte {
	k := block{validity: 9, uidLast: uidLast}
	b, _ := k.print()
	for _, l := range lines {
		b = append(b, " 1-Jul-2001 02:03:04 -0700,1;"+l+"\r\nX"...)
	}
	return b
}

func TestNumbering(t *testing.T) {
	for _, tt := range []struct {
		name    string
		file    []byte
		uids    string
		recent  uint32
		uidLast uint32
		rebuilt bool
	}{
		{"in order", mbxOf(9, "000000000010-00000001", "000000000010-00000009"), "[1 9]", 0, 9, false},
		{"not old", mbxOf(9, "000000000000-00000001", "000000000010-00000009"), "[1 9]", 1, 9, false},
		{"no numbers", mbxOf(9, "000000000010-00000003", "000000000000-00000000"), "[3 10]", 1, 10, false},
		{"expunged takes a number", mbxOf(0, "000000008000-00000000", "000000000000-00000000"), "[2]", 1, 2, false},
		{"twice", mbxOf(9, "000000000010-00000003", "000000000010-00000003"), "[3 4]", 1, 4, true},
		{"above", mbxOf(3, "000000000010-00000003", "000000000010-00000007", "000000000010-00000008"), "[3 4 5]", 2, 5, true},
		{"no more numbers", mbxOf(math.MaxUint32, "000000000010-00000007", "000000000000-00000000"), "[1 2]", 2, 2, true},
		{"last number", mbxOf(math.MaxUint32-1, "000000000010-00000007", "000000000000-00000000"), "[7 4294967295]", 1, math.MaxUint32, false},
	} {
		for _, mode := range []mailbox.Mode{mailbox.ReadOnly, mailbox.ReadWrite} {
			w := newWorld(t)
			n := w.file("box", tt.file)
			b := w.open(n, mode)
			check := func(b *box, recent uint32) {
				t.Helper()
				var uids []uint32
				for m := range b.Messages(mailbox.All) {
					uids = append(uids, m.UID)
				}
				st := b.Status()
				if fmt.Sprint(uids) != tt.uids || st.Recent != recent || b.block.uidLast != tt.uidLast || (st.UIDValidity != 9) != tt.rebuilt {
					t.Errorf("%s, mode %v: got %v, %d recent, UIDLAST %d, UIDVALIDITY %d", tt.name, mode, uids, st.Recent, b.block.uidLast, st.UIDValidity)
				}
			}
			check(b, tt.recent)
			b.Close()
			if !isMbx(w.read(n)) {
				t.Errorf("%s, mode %v: no mailbox any more", tt.name, mode)
			}
			if mode == mailbox.ReadWrite {
				check(w.open(n, mailbox.ReadOnly), 0)
			}
		}
	}
}

// FuzzLine compares what is written with what is read, and reads junk.
func FuzzLine(f *testing.F) {
	f.Add([]byte("14-Jul-2001 02:03:04 -0700,47;000000040011-00000001\r\n"))
	f.Add([]byte(" 1-Jul-2001,-1;000000040011-00000001\r\nX"))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), maxLine)]
		l, fault := parseLine(b)
		if fault != lineGood {
			return
		}
		if l.length > maxLine || l.size > maxSize || string(b[l.length-2:l.length]) != "\r\n" {
			t.Fatalf("got %+v", l)
		}
		d, err := mailbox.ParseDate(string(l.date), time.UTC)
		if err != nil || l.size <= 0 {
			return
		}
		out := appendLine(nil, d, false, l.size, l.keywords, l.flags, l.uid)
		back, fault := parseLine(out)
		if fault != lineGood || back.size != l.size || back.keywords != l.keywords || back.flags != l.flags || back.uid != l.uid {
			t.Errorf("wrote %q: got %+v, want %+v", out, back, l)
		}
		if lineEndingAt(out, len(out)) != 0 {
			t.Errorf("%q is not found as a line", out)
		}
	})
}

// FuzzScan reads any file: records tile it exactly, or there is an error with
// a place.
func FuzzScan(f *testing.F) {
	f.Add(mbxOf(9, "000000000010-00000001", "000000008000-00000000")[blockSize:])
	f.Add([]byte("14-Jul-2001 02:03:04 -0700,-47;000000040011-00000001\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		size := int64(len(b))
		s := newScanner(bytes.NewReader(b), 0, size)
		for pos := int64(0); ; {
			r, ok, err := s.next()
			if err != nil {
				var e *mailbox.Error
				if !errors.As(err, &e) || e.Off != pos || !errors.Is(err, mailbox.ErrCorrupt) {
					t.Errorf("at %d: got %v", pos, err)
				}
				return
			}
			if !ok {
				if pos != size {
					t.Errorf("ended at %d of %d", pos, size)
				}
				return
			}
			if r.off != pos || r.end() <= pos || r.end() > size {
				t.Fatalf("at %d: got %+v", pos, r)
			}
			pos = r.end()
		}
	})
}

// FuzzBlock reads any file block, and writes what it read.
func FuzzBlock(f *testing.F) {
	k := block{validity: 7, uidLast: 8, lines: []string{"a", "b"}, pid: 9, hasPID: true}
	p, _ := k.print()
	f.Add(p)
	f.Fuzz(func(t *testing.T, b []byte) {
		k, ok := parseBlock(b)
		if !ok {
			return
		}
		p, err := k.print()
		if err != nil {
			return // over-long lines up to the end
		}
		if back, ok := parseBlock(p); !ok || fmt.Sprint(back) != fmt.Sprint(k) {
			t.Errorf("got %+v, want %+v", back, k)
		}
	})
}
