package mailbox

import (
	"errors"
	"strings"
	"testing"
)

func TestParseRemote(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"{host}", `{host/imap}INBOX`},
		{"{host}inbox", `{host/imap}INBOX`},
		{"{host:1143/user=fred}a/b", `{host:1143/imap/user="fred"}a/b`},
		{`{host/USER="a\"b c"/IMAP4rev1}x`, `{host/imap/user="a\"b c"}x`},
		{"{[192.0.2.1]/ssl/novalidate-cert}x", `{[192.0.2.1]/imap/ssl/novalidate-cert}x`},
		{"{h/pop}", "{h/pop3}INBOX"},
		{"{h/service=pop3/user=x}INBOX", `{h/pop3/user="x"}INBOX`},
		{"{h/tls-sslv23/readonly/secure/norsh/loser/debug/validate-cert}", "{h/imap/readonly/secure/tls}INBOX"},
		{"{h/authuser=admin/user=fred}", `{h/imap/authuser="admin"/user="fred"}INBOX`},
		{"{h/notls}}x", "{h/imap/notls}}x"},
	} {
		r, err := ParseRemote(tt.in)
		if err != nil || r.Canonical() != tt.want {
			t.Errorf("%s\n got %v, %v\nwant %s", tt.in, r, err, tt.want)
		}
	}
}

func TestParseBadRemote(t *testing.T) {
	for _, in := range []string{
		"{", "{}", "{host", "{:1}", "{host:}", "{host:0}", "{host:1:2}", "{host:65536}", "{host:-1}", "{host/}", "{host/x}", "{host/user}", "{host/user=}",
		"{host/ssl/tls}", "{host/tls/notls}", "{host/imap/pop3}", "{host/user=a/user=b}", "{host/pop3}x", "{host/pop3/authuser=a}", "{host/pop3/norsh}",
		`{host/user="` + strings.Repeat("a", 2000), // CVE-2005-2933
		"{host/user=" + strings.Repeat("a", 65) + "}", "{" + strings.Repeat("h", 256) + "}", "{[192.0.2.1}", "{[x$(id)]}",
		"{x -oProxyCommand=id}INBOX", "{x\t-oProxyCommand=id}INBOX", "{-oProxyCommand=id}INBOX", "{x$IFS-o}INBOX", "{h/user=-x}", "{h/user=\"a\tb\"}", // CVE-2018-19518
		"{host/validate-cert/novalidate-cert/validate-cert}",
	} {
		if r, err := ParseRemote(in); !errors.Is(err, ErrRemote) {
			t.Errorf("%.80s: got %v, %v; want %v", in, r, err, ErrRemote)
		}
	}
	for _, in := range []string{"{h/nntp}g", "{h/smtp}", "{h/submit}"} {
		if _, err := ParseRemote(in); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: got %v", in, err)
		}
	}
}

// What is read and written again is read the same.
func FuzzParseRemote(f *testing.F) {
	for _, s := range []string{"{h}", "{h:1/ssl/user=\"a\\\"b\"}x", "{[::1]/pop3}", "{h/authuser=a/tls/secure}INBOX"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRemote(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(r.Host, " \t\r\n\x00'\"$`;|&<>\\(){}") || r.Host == "" || r.Host[0] == '-' {
			t.Fatalf("%q: host %q", s, r.Host)
		}
		again, err := ParseRemote(r.Canonical())
		r.Mailbox, again.Mailbox = r.Box(), again.Box()
		r.NoShell, r.Loser, r.Debug, r.TrySSL = false, false, false, false
		if err != nil && len(r.Canonical()) <= maxRemoteName || err == nil && again != r {
			t.Errorf("%q: %q: got %+v, %v\nwant %+v", s, r.Canonical(), again, err, r)
		}
	})
}

func TestSetAfter(t *testing.T) {
	s := Range(3, 5).Union(Range(8, 9))
	for seq, want := range map[uint32][]uint32{0: {3, 4, 5, 8}, 2: {3, 4, 5, 8}, 3: {4, 5, 8}, 5: {8}, 7: {8}, 8: nil, 9: nil, 100: nil} {
		var got []uint32
		for n := range s.After(seq, 8) {
			got = append(got, n)
		}
		if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
			t.Errorf("after %d: got %v, want %v", seq, got, want)
		}
	}
}
