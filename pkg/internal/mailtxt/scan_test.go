package mailtxt

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/mailbox"
)

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"1": 1, "047": 47, "+5": 5, "  5": 5, "\t+5": 5, "9999999999999": 9999999999999, "99999999999999999999999": maxSize,
		"0": -1, "": -1, "+": -1, "5x": -1, "x5": -1, "-5": -1, "5 ": -1, "99999999999999999999999x": -1,
	} {
		n, ok := parseSize([]byte(in))
		if want < 0 && ok || want >= 0 && (!ok || n != want) {
			t.Errorf("%q: got %d, %v; want %d", in, n, ok, want)
		}
	}
}

func TestFlagDigits(t *testing.T) {
	for in, want := range map[string]struct {
		keywords uint32
		flags    uint8
	}{
		"400000000021": {1, bitSeen | bitOld},
		"100000000040": {1 << 2, bitDraft},
		"000000000100": {1 << 29, 0},
		"777777777777": {1<<30 - 1, bitsKnown},
		"000000000000": {0, 0},
	} {
		keywords, flags, ok := parseFlags([]byte(in))
		if !ok || keywords != want.keywords || flags != want.flags {
			t.Errorf("%s: got %b, %o, %v; want %b, %o", in, keywords, flags, ok, want.keywords, want.flags)
		}
		if back := string(appendFlags(nil, keywords, flags)); back != in {
			t.Errorf("%s: written %s", in, back)
		}
	}
	for _, in := range []string{"", "00000000000", "0000000000000", "00000000000x", "-00000000000"} {
		if _, _, ok := parseFlags([]byte(in)); ok {
			t.Errorf("%s: got no error", in)
		}
	}
}

// FuzzScan reads any file: records tile it exactly, or there is an error with
// its offset. What was read is written as it was, or in a plainer way that is
// read the same.
func FuzzScan(f *testing.F) {
	for _, format := range formats {
		f.Add([]byte(" 1-Jul-2001 02:03:04 -0700,2;400000000021"+format.EOL+"x\n05-Jul-2001 02:03:04 -0700,1;000000000000"+format.EOL+"y"), format.EOL == "\n")
	}
	f.Add([]byte("1-JUL-01,+09;999999999999\r\n123456789"), false)
	f.Fuzz(func(t *testing.T, file []byte, lf bool) {
		format := MTX
		if lf {
			format = Tenex
		}
		s := newScanner(&format, time.UTC, bytes.NewReader(file), 0, int64(len(file)))
		end := int64(0)
		for {
			r, ok, err := s.next()
			if err != nil {
				var e *mailbox.Error
				if !errors.Is(err, mailbox.ErrCorrupt) || !errors.As(err, &e) || e.Off != end {
					t.Fatalf("got %v, offset %d, want an ErrCorrupt at %d", err, e.Off, end)
				}
				return
			}
			if !ok {
				break
			}
			if r.off != end || r.size < 1 || r.length < 20 || r.length > maxLine || r.end() > int64(len(file)) {
				t.Fatalf("record %+v behind %d of %d", r, end, len(file))
			}
			end = r.end()
			same(t, &format, r)
			patch := file[format.patch(&r) : format.patch(&r)+flagsLen]
			if keywords, flags, ok := parseFlags(patch); !ok || keywords != r.keywords || flags != r.flags {
				t.Fatalf("flags are not at %d: %s", format.patch(&r), patch)
			}
		}
		if end != int64(len(file)) {
			t.Fatalf("read %d of %d octets", end, len(file))
		}
	})
}

// same writes the line of r and reads it again.
func same(t *testing.T, f *Format, r record) {
	if !flocked.Storable(r.date) {
		return
	}
	b := f.appendLine(nil, r.date, false, r.size, r.keywords, r.flags)
	text := len(b)
	s := newScanner(f, time.UTC, io.NewSectionReader(bytes.NewReader(b), 0, int64(text)), 0, int64(text)+r.size)
	got, _, err := s.next()
	if err != nil || got.size != r.size || got.keywords != r.keywords || got.flags != r.flags || got.date != r.date {
		t.Fatalf("%+v written %q, read %+v, %v", r, b, got, err)
	}
	if lineEndingAt(b, text-len(f.EOL)) != 0 || !f.owns(b) {
		t.Fatalf("%q is not recognised", b)
	}
}

// FuzzOpen opens any file and reads all that it shows.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(" 1-Jul-2001 02:03:04 -0700,2;400000000021\r\nx\n"), []byte(" 1-Jul-2001 02:03:04 -0700,2;400000000021\nx\n"))
	f.Fuzz(func(t *testing.T, mtx, tenex []byte) {
		for i, file := range [][]byte{mtx, tenex} {
			w := newWorld(t, formats[i])
			n := w.file("box", file)
			mb, err := w.Open(t.Context(), n, mailbox.ReadOnly)
			if err != nil {
				continue
			}
			observe(t, mb.(*box))
			mb.Close()
		}
	})
}
