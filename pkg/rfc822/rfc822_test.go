package rfc822

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestHeader(t *testing.T) {
	block := []byte("Received: a\r\n\tb\r\nSUBJECT : one\r\nsubject: two\r\nno field\r\n folded: x\r\nX:\r\nTo:y\n\r\nSubject: body\r\n")
	for name, want := range map[string]string{
		"received": " a\r\n\tb", "Subject": " one", "x": "", "to": "y", "folded": "-", "no field": "-", "cc": "-",
	} {
		raw, ok := Header(block, name)
		got := string(raw)
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	var names []string
	for n := range Fields(block) {
		names = append(names, string(n))
	}
	if want := []string{"Received", "SUBJECT", "subject", "X", "To"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		" plain \r\n text ":                                     "plain  text",
		" =?utf-8?q?caf=C3=A9?=":                                "café",
		"=?UTF-8*fr?Q?a_b=20c?=":                                "a b c",
		"=?iso-8859-1?B?Y2Fm6Q==?= x":                           "café x",
		"=?iso-8859-1?B?Y2Fm6Q?=":                               "café",
		"=?utf-8?b?w6k?=\r\n =?utf-8?b?w6k?=":                   "éé",
		"=?utf-8?q?caf=C3?=\r\n =?UTF-8?q?=A9?=":                "café",
		"=?utf-8?q?a?= =?iso-8859-1?q?=E9?= b":                  "aé b",
		"a =?utf-8?q?b?= c =?utf-8?q?d?=":                       "a b c d",
		"(=?utf-8?q?b?=)":                                       "(b)",
		"=?utf-8?q?two words?=":                                 "two words",
		"=?utf-8?q??=x":                                         "x",
		"=?x-unknown?q?=E9?=":                                   "é",
		"=?utf-8?q?=ZZ=4?=":                                     "=ZZ=4",
		"=?utf-8?x?a?=":                                         "=?utf-8?x?a?=",
		"=?utf-8?q?a":                                           "=?utf-8?q?a",
		"=??q?a?=":                                              "=??q?a?=",
		"=?=?utf-8?q?a?=":                                       "=?a",
		"caf\xe9 \xc3\xa9":                                      "café é",
		"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=":                    "日本",
		"=?utf-7?q?+AOk?= =?utf-7?q?+AOk?=":                     "éé",
		"=?utf-8?q?a?=\t \t=?utf-8?q?b?=  \t c =?utf-8?q?d?=  ": "ab  \t c d",
	} {
		if got := Decode([]byte(in)); got != want {
			t.Errorf("%q\n got %q\nwant %q", in, got, want)
		}
	}
	in := "Subject: =?utf-8?q?=C3=A9?=\r\n =?utf-8?q?a?=\r\nTo: x\r\n\r\n"
	if got, want := DecodeBlock([]byte(in)), "Subject: éa\r\nTo: x\r\n\r\n"; got != want {
		t.Errorf("%q\n got %q\nwant %q", in, got, want)
	}
}

func TestParseMediaType(t *testing.T) {
	for in, want := range map[string]MediaType{
		" text/plain":                                               {Type: "text", Subtype: "plain"},
		" Text/HTML; charset=\"UTF-8\"":                             {Type: "text", Subtype: "html", Charset: "utf-8"},
		"text/plain; Charset=us-ascii (plain (very)) ; x=y":         {Type: "text", Subtype: "plain", Charset: "us-ascii"},
		"text/plain;\r\n\tcharset = koi8-r;charset=x":               {Type: "text", Subtype: "plain", Charset: "koi8-r"},
		"multipart/Mixed; boundary=\"a b:?=\\\"c\"":                 {Type: "multipart", Subtype: "mixed", Boundary: "a b:?=\"c"},
		"multipart/mixed; boundary=----=_Part_1(2)":                 {Type: "multipart", Subtype: "mixed", Boundary: "----=_Part_1(2)"},
		"multipart/mixed; type=\"text/x;boundary=y\"; boundary=z  ": {Type: "multipart", Subtype: "mixed", Boundary: "z"},
		"multipart/mixed; boundary=\"open":                          {Type: "multipart", Subtype: "mixed", Boundary: "open"},
		"multipart/mixed; boundary":                                 {Type: "multipart", Subtype: "mixed"},
		"multipart/mixed; boundary=":                                {Type: "multipart", Subtype: "mixed"},
		"text":                                                      {Type: "text", Subtype: "plain"},
		"":                                                          {Type: "text", Subtype: "plain"},
		"/":                                                         {Type: "text", Subtype: "plain"},
		"(comment) image / jpeg (x":                                 {Type: "image", Subtype: "jpeg"},
	} {
		if got := ParseMediaType([]byte(in)); got != want {
			t.Errorf("%q\n got %+v\nwant %+v", in, got, want)
		}
	}
}

type closer struct {
	bytes.Buffer
	closed int
}

func (c *closer) Close() error { c.closed++; return nil }

func TestTransferDecoding(t *testing.T) {
	for _, tt := range []struct{ encoding, in, want string }{
		{"7bit", "a=41=\r\n", "a=41=\r\n"},
		{"x-unknown", "YQ==", "YQ=="},
		{"base64", "aGVs\r\nbG8=", "hello"},
		{" BASE64 (c)", "aGVsbG8", "hello"},
		{"base64", "a\x00G*V-s\nb G 8 = ", "hello"},
		{"base64", "aGk=aGk=", "hihi"},
		{"base64", "a", ""},
		{"base64", "====", ""},
		{"quoted-printable", "caf=C3=a9 =\r\nx=3D", "café x="},
		{"quoted-printable", "a= \t\r\nb=\nc", "abc"},
		{"quoted-printable", "a=ZZ=4", "a=ZZ=4"},
		{"quoted-printable", "=4Z==41=", "=4Z=A="},
		{"quoted-printable", "=4\nx= x=\rx", "=4\nx= x=\rx"},
		{"quoted-printable", "=" + strings.Repeat(" ", 300) + "\nx", "=" + strings.Repeat(" ", 300) + "\nx"},
	} {
		for cut := range len(tt.in) {
			var out closer
			w := ParseEncoding([]byte(tt.encoding)).NewWriter(&out)
			io.WriteString(w, tt.in[:cut])
			io.WriteString(w, tt.in[cut:])
			if err := w.Close(); err != nil || out.String() != tt.want || out.closed != 1 {
				t.Errorf("%s: %q cut at %d\n got %q, %v, closed %d times\nwant %q", tt.encoding, tt.in, cut, out.String(), err, out.closed, tt.want)
			}
		}
	}
}

// walk returns the parts of a message in words, written in pieces of n octets.
func walk(in string, n int) string {
	var out strings.Builder
	w := NewWalker(func(p *Part) (io.WriteCloser, error) {
		kind := "part"
		if p.Message {
			kind = "message"
		}
		if !p.Leaf {
			kind = "in " + kind
		}
		fmt.Fprintf(&out, "[%s %s/%s %d %q]", kind, p.Type.Type, p.Type.Subtype, p.Encoding, p.Header)
		return &sink{w: &out}, nil
	})
	for rest := in; len(rest) > 0; {
		piece := rest[:min(n, len(rest))]
		rest = rest[len(piece):]
		if _, err := io.WriteString(w, piece); err != nil {
			return err.Error()
		}
	}
	if err := w.Close(); err != nil {
		return err.Error()
	}
	return out.String()
}

type sink struct {
	w      io.Writer
	closed bool
}

func (s *sink) Write(p []byte) (int, error) { return fmt.Fprintf(s.w, "%s", p) }

func (s *sink) Close() error {
	if s.closed {
		panic("closed twice")
	}
	s.closed = true
	_, err := s.w.Write([]byte("|"))
	return err
}
