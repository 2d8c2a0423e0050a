package packed_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"mailutil/pkg/internal/packed"
	"mailutil/pkg/mailbox"
)

var text = strings.Repeat("From a@b Wed Jan  1 01:02:03 2020\n\nx\n", 1000)

// bzipped is "hello\n" by bzip2, which Go does not write.
const bzipped = "425a6839314159265359c1c080e2000001410000100244a00030cd00c3462997177245385090c1c080e2"

func pack(t *testing.T, open func(w io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := open(&b)
	if err == nil {
		_, err = io.WriteString(w, text)
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unpack(octets []byte) (string, error) {
	r, stop, err := packed.Unpack(bytes.NewReader(octets))
	if err != nil {
		return "", err
	}
	defer stop()
	out, err := io.ReadAll(r)
	return string(out), err
}

// TestUnpack unpacks whole data, two of them in a row where the format knows
// that, and data that are cut or changed anywhere.
func TestUnpack(t *testing.T) {
	hello, err := hex.DecodeString(bzipped)
	if err != nil {
		t.Fatal(err)
	}
	for c, octets := range map[packed.Compression][]byte{
		packed.None:  []byte(text),
		packed.Gzip:  pack(t, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }),
		packed.Xz:    pack(t, func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) }),
		packed.Zstd:  pack(t, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }),
		packed.Bzip2: hello,
	} {
		want := text
		if c == packed.Bzip2 {
			want = "hello\n"
		}
		if is := packed.Of(octets); is != c {
			t.Errorf("%d is taken for %d", c, is)
		}
		if got, err := unpack(octets); got != want || err != nil {
			t.Errorf("%d: got %d octets, %v", c, len(got), err)
		}
		if got, err := unpack(append(bytes.Clone(octets), octets...)); got != want+want || err != nil {
			t.Errorf("%d, twice: got %d octets, %v", c, len(got), err)
		}
		if c == packed.None {
			continue
		}
		for n := packed.MarkLen; n < len(octets); n += 1 + len(octets)/50 {
			if _, err := unpack(octets[:n]); !errors.Is(err, mailbox.ErrCorrupt) {
				t.Errorf("%d, cut at %d: got %v, want %v", c, n, err, mailbox.ErrCorrupt)
			}
			bad := bytes.Clone(octets)
			bad[n] ^= 0x55
			if got, err := unpack(bad); !errors.Is(err, mailbox.ErrCorrupt) && (err != nil || !strings.HasPrefix(got, want)) {
				t.Errorf("%d, changed at %d: %d octets, %v", c, n, len(got), err)
			}
		}
	}
}
