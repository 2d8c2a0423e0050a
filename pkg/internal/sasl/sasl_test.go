package sasl

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// named finds a mechanism.
func named(t *testing.T, name string) Mechanism {
	t.Helper()
	for _, m := range append(Mechanisms, External, Anonymous) {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("%s is not known", name)
	return Mechanism{}
}

// The examples of the standards.
func TestVectors(t *testing.T) {
	for _, tt := range []struct {
		name, mechanism  string
		login            Login
		challenge, again string // the second one, "" for none
		want, wantAgain  string
	}{
		{
			name: "RFC 2195, 2", mechanism: "CRAM-MD5", login: Login{User: "tim", Password: "tanstaaftanstaaf"},
			challenge: "<1896.697170952@postoffice.reston.mci.net>", want: "tim b913a602c7eda7a495b4e6e7334d3890",
		},
		{
			name: "RFC 1939, 7", mechanism: "APOP", login: Login{User: "mrose", Password: "tanstaaf"},
			challenge: "<1896.697170952@dbc.mtview.ca.us>", want: "mrose c4c9334bac560ecc979e58001b3e22fb",
		},
		{
			name: "RFC 4616, 4", mechanism: "PLAIN", login: Login{User: "tim", Password: "tanstaaftanstaaf"},
			want: "\x00tim\x00tanstaaftanstaaf",
		},
		{
			name: "RFC 4616, 4, for another", mechanism: "PLAIN", login: Login{User: "Ursel", AuthUser: "Kurt", Password: "xipj3plmq"},
			want: "Ursel\x00Kurt\x00xipj3plmq",
		},
		{
			name: "RFC 7628, 4.1", mechanism: "OAUTHBEARER",
			login: Login{User: "user@example.com", Host: "server.example.com", Port: 143, Password: "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="},
			want: decoded("bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0" +
				"Q2c9PQEB"),
			again: `{"status":"invalid_token"}`, wantAgain: decoded("AQ=="),
		},
		{
			name: "XOAUTH2", mechanism: "XOAUTH2", login: Login{User: "someuser@example.com", Password: "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"},
			want: decoded("dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="),
		},
		{name: "RFC 4422, A.2", mechanism: "EXTERNAL", login: Login{User: "fred@example.com"}, want: "fred@example.com"},
		{name: "RFC 4505, 2", mechanism: "ANONYMOUS", want: "mailutil"},
		{
			name: "LOGIN", mechanism: "LOGIN", login: Login{User: "tim", Password: "secret"},
			challenge: "User Name\x00", want: "tim", again: "Password\x00", wantAgain: "secret",
		},
	} {
		x := named(t, tt.mechanism).Start(tt.login)
		got, err := x.Answer([]byte(tt.challenge))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s\n got %q, %v\nwant %q", tt.name, got, err, tt.want)
		}
		if tt.again == "" {
			continue
		}
		if got, err = x.Answer([]byte(tt.again)); err != nil || string(got) != tt.wantAgain {
			t.Errorf("%s, then\n got %q, %v\nwant %q", tt.name, got, err, tt.wantAgain)
		}
	}
}

func decoded(s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// scramServer is what the server says in RFC 7677, 3.
const (
	scramFirst = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	scramFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
)

// The example of RFC 7677, 3, and servers that do not follow it.
func TestScram(t *testing.T) {
	start := func() Exchange {
		x := &scram{login: Login{User: "user", Password: "pencil"}, nonce: "rOprNGfwEbeRWgbNEkqO"}
		if got, err := x.answer(nil); err != nil || string(got) != "n,,n=user,r=rOprNGfwEbeRWgbNEkqO" {
			t.Fatalf("first: got %q, %v", got, err)
		}
		return Exchange{x}
	}
	x := start()
	const final = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	if got, err := x.Answer([]byte(scramFirst)); err != nil || string(got) != final {
		t.Errorf("final\n got %q, %v\nwant %q", got, err, final)
	}
	if err := x.Proven(); !errors.Is(err, errDisguise) {
		t.Errorf("before the signature: got %v", err)
	}
	if got, err := x.Answer([]byte(scramFinal)); err != nil || len(got) > 0 {
		t.Errorf("signature: got %q, %v", got, err)
	}
	if err := x.Proven(); err != nil {
		t.Error(err)
	}
	if _, err := x.Answer(nil); !errors.Is(err, errScram) {
		t.Errorf("one more: got %v", err)
	}
	for _, bad := range []string{
		"", "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", strings.Replace(scramFirst, "i=4096", "i=0", 1),
		strings.Replace(scramFirst, "i=4096", "i=99999999", 1), strings.Replace(scramFirst, "s=W22", "s=!", 1), strings.Replace(scramFirst, ",i=4096", "", 1), "m=x," + scramFirst,
	} {
		if _, err := start().Answer([]byte(bad)); !errors.Is(err, errScram) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	for _, bad := range []string{"", "e=invalid-proof", "v=", "v=" + strings.Repeat("A", 43) + "=", scramFinal[:20]} {
		x := start()
		if _, err := x.Answer([]byte(scramFirst)); err != nil {
			t.Fatal(err)
		}
		if _, err := x.Answer([]byte(bad)); !errors.Is(err, errDisguise) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

// Names with "=" and "," in them, and somebody else's mail.
func TestScramNames(t *testing.T) {
	x := &scram{login: Login{User: "a,b", AuthUser: "c=d", Password: "x"}, nonce: "n"}
	if got, err := x.answer(nil); err != nil || string(got) != "n,a=a=2Cb,n=c=3Dd,r=n" {
		t.Errorf("got %q, %v", got, err)
	}
}

// The server's half takes what the client's half says, and nothing else.
func TestServer(t *testing.T) {
	for _, name := range ServerMechanisms {
		for _, tt := range []struct {
			login Login
			good  bool
		}{
			{Login{User: "tim", Password: "se cret"}, true},
			{Login{User: "tim", Password: "wrong"}, false},
			{Login{User: "tim", Password: ""}, false},
		} {
			x := named(t, name).Start(tt.login)
			s := Server{Host: "h", Plain: true, Ask: func(challenge string) ([]byte, error) { return x.Answer([]byte(challenge)) }}
			user, proof, err := s.Run(name)
			if err != nil || user != "tim" || proof("se cret") != tt.good || proof("") {
				t.Errorf("%s, %q: user %q, %v, proof %v", name, tt.login.Password, user, err, proof("se cret"))
			}
		}
	}
	for _, tt := range []struct{ mechanism, answer string }{
		{"PLAIN", ""}, {"PLAIN", "tim\x00tim"}, {"PLAIN", "root\x00tim\x00secret"}, {"PLAIN", "\x00tim\x00secret\x00"}, {"CRAM-MD5", "tim"}, {"CRAM-MD5", ""},
	} {
		s := Server{Plain: true, Ask: func(string) ([]byte, error) { return []byte(tt.answer), nil }}
		if user, _, err := s.Run(tt.mechanism); err == nil {
			t.Errorf("%s %q: lets %q in", tt.mechanism, tt.answer, user)
		}
	}
	s := Server{Ask: func(string) ([]byte, error) { t.Error("asked"); return nil, nil }}
	for _, name := range []string{"PLAIN", "LOGIN", "GSSAPI", ""} {
		if _, _, err := s.Run(name); !errors.Is(err, ErrMechanism) {
			t.Errorf("%s where nothing may be shown: got %v", name, err)
		}
	}
}
