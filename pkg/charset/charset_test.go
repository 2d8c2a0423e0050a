package charset

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDecodeSamples(t *testing.T) {
	for _, tt := range samples {
		c, ok := Lookup(strings.ToUpper(tt.charset))
		if got := c.Decode([]byte(tt.octets)); !ok || got != tt.want {
			t.Errorf("%s: %q\n got %q, %v\nwant %q", tt.charset, tt.octets, got, ok, tt.want)
		}
	}
}

// A text must not depend on how it comes: it is cut at every octet.
func TestWriterInPieces(t *testing.T) {
	for _, tt := range samples {
		c, _ := Lookup(tt.charset)
		for i := range len(tt.octets) {
			var out bytes.Buffer
			w := c.NewWriter(&out)
			for _, piece := range []string{tt.octets[:i], tt.octets[i:]} {
				if _, err := w.Write([]byte(piece)); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil || out.String() != tt.want {
				t.Errorf("%s: %q cut at %d\n got %q, %v\nwant %q", tt.charset, tt.octets, i, out.String(), err, tt.want)
			}
		}
	}
}

// All that is called safe must have ASCII below 0x80, also in front of and
// behind other characters.
func TestASCII(t *testing.T) {
	for name := range charsets {
		c, _ := Lookup(name)
		if !c.ASCII {
			continue
		}
		for i := range 0x80 {
			in := []byte{byte(i), byte(i)}
			if got := c.Decode(in); got != string(in) {
				t.Errorf("%s: %q\n got %q\nwant the same", name, in, got)
			}
		}
	}
}

// ASCII must be found in the octets of a safe charset if and only if it is in
// the text.
func TestASCIIAmongOthers(t *testing.T) {
	for _, tt := range samples {
		c, _ := Lookup(tt.charset)
		if !c.ASCII {
			continue
		}
		ascii := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r >= 0x80 {
					return -1
				}
				return r
			}, s)
		}
		var octets []byte
		for _, b := range []byte(tt.octets) {
			if b < 0x80 {
				octets = append(octets, b)
			}
		}
		if string(octets) != ascii(tt.want) {
			t.Errorf("%s: ASCII of the octets %q, of the text %q", tt.charset, octets, ascii(tt.want))
		}
	}
}

func TestLookup(t *testing.T) {
	for in, want := range map[string]string{
		"ISO-8859-1": "iso-8859-1", " Latin1 ": "iso-8859-1", "": "us-ascii", "TIS-620": "iso-8859-11",
		"ks_c_5601-1987": "euc-kr", "CN-GB": "gb2312", "x-unknown": "-", "iso-2022-jp-2": "iso-2022-jp",
	} {
		c, ok := Lookup(in)
		got := c.Name
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("Lookup(%q)\n got %s\nwant %s", in, got, want)
		}
	}
	for alias, name := range aliases {
		if _, ok := charsets[name]; !ok {
			t.Errorf("alias %q of %q, which is not there", alias, name)
		}
		if _, ok := charsets[alias]; ok {
			t.Errorf("alias %q hides a charset", alias)
		}
	}
}

func TestDecodeBad(t *testing.T) {
	for _, tt := range []struct{ charset, in, want string }{
		{"", "na\xefve caf\xc3\xa9", "naïve café"},
		{"x-unknown", "\xff\xfe", "ÿþ"},
		{"utf-8", "a\xe2\x82", "aâ\u0082"},
		{"utf-8", "\uFFFDx", "\uFFFDx"},
		{"utf-7", "+", ""},
		{"utf-7", "a+-b+AOk", "a+bé"},
		{"utf-7", "+2DQ-x", "\uFFFDx"},
		{"utf-7", "+2DQA6Q-", "\uFFFDé"},
		{"utf-16", "\x00", "\uFFFD"},
		{"iso-2022-jp", "a\x1b$Bx", "a\uFFFD"},
		{"iso-2022-kr", "a\x1b", "a\x1b"},
		{"iso-2022-kr", "\x0e0!\r\nab", "가\r\nab"},
		{"iso-2022-kr", "a\x1bZb", "a\x1bZb"},
		{"iso-2022-cn", "\x1b$)G\x0e!!\x0fa\x1bNxyz", "??a??z"},
		{"shift_jis", "a\x81", "a\uFFFD"},
	} {
		c, _ := Lookup(tt.charset)
		if got := c.Decode([]byte(tt.in)); got != tt.want {
			t.Errorf("%s: %q\n got %q\nwant %q", tt.charset, tt.in, got, tt.want)
		}
	}
}

var errFull = errors.New("full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriterError(t *testing.T) {
	for name := range charsets {
		c, _ := Lookup(name)
		w := c.NewWriter(full{})
		_, err := w.Write([]byte("abcdefgh\r\n"))
		if err == nil {
			err = w.Close()
		}
		if !errors.Is(err, errFull) {
			t.Errorf("%s: got %v, want %v", name, err, errFull)
		}
	}
}

// What comes out is UTF-8, except where octets are left as they are, and does
// not depend on where the input was cut.
func FuzzDecode(f *testing.F) {
	for _, tt := range samples {
		f.Add(tt.charset, []byte(tt.octets), 3)
	}
	f.Fuzz(func(t *testing.T, name string, in []byte, cut int) {
		c, _ := Lookup(name)
		whole := c.Decode(in)
		if !utf8.ValidString(whole) {
			t.Fatalf("%s: %q: got %q", name, in, whole)
		}
		if c.UTF8 || cut < 0 || cut > len(in) {
			return
		}
		var out bytes.Buffer
		w := c.NewWriter(&out)
		w.Write(in[:cut])
		w.Write(in[cut:])
		w.Close()
		if out.String() != whole {
			t.Errorf("%s: %q cut at %d\n got %q\nwant %q", name, in, cut, out.String(), whole)
		}
	})
}
