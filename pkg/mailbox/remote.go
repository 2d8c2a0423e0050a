package mailbox

import (
	"fmt"
	"strconv"
	"strings"
)

// ErrRemote means that a {host}name is not written as one can be.
var ErrRemote error = &reason{ErrNotExist, "invalid remote specification"}

// A Remote is what "{host[:port][/switch...]}mailbox" says, the default values
// put in. The zero value means a local name.
type Remote struct {
	Host     string // a name, or an address in brackets: "[192.0.2.1]"
	Port     int    // 0 where none is given
	Service  string // "imap" or "pop3"
	User     string // who logs in; "" to be asked for
	AuthUser string // whose password it is, "" for User's
	Mailbox  string // at the server, as written: "" stands for INBOX

	Anonymous  bool // log in as nobody in particular
	Debug      bool // show what is said
	ReadOnly   bool // never write
	Secure     bool // no authentication that shows the password
	Loser      bool // the server is old: ask for nothing that is not in RFC 1176
	NoShell    bool // never start a program: what we do anyway
	SSL        bool // TLS from the first octet
	TLS        bool // STARTTLS, or fail
	NoTLS      bool // no STARTTLS, even where it is offered
	TrySSL     bool // SSL first, else as it is
	NoValidate bool // any certificate will do
}

// The lengths that parts of a remote name may have, those of the original.
const (
	maxRemoteName = 712
	maxRemoteHost = 255
	maxRemoteUser = 64
)

// Box returns the mailbox at the server, INBOX in upper case.
func (r Remote) Box() string {
	if r.Mailbox == "" || strings.EqualFold(r.Mailbox, "INBOX") {
		return "INBOX"
	}
	return r.Mailbox
}

// Server returns the remote without its mailbox: what a connection is for.
func (r Remote) Server() Remote {
	r.Mailbox, r.ReadOnly, r.Debug = "", false, false
	return r
}

// Canonical is the canonical name: {host:port/imap/user="fred"}mailbox. The port
// is that of the connection, so that it is left out where none was given.
func (r Remote) Canonical() string { return r.Prefix() + r.Box() }

// Prefix is Canonical up to the mailbox.
func (r Remote) Prefix() string {
	var b strings.Builder
	b.WriteString("{" + r.Host)
	if r.Port != 0 {
		fmt.Fprintf(&b, ":%d", r.Port)
	}
	b.WriteString("/" + r.Service)
	for _, s := range []struct {
		on   bool
		name string
	}{
		{r.ReadOnly, "readonly"},
		{r.Secure, "secure"},
		{r.SSL, "ssl"},
		{r.TLS, "tls"},
		{r.NoTLS, "notls"},
		{r.NoValidate, "novalidate-cert"},
		{r.Anonymous, "anonymous"},
	} {
		if s.on {
			b.WriteString("/" + s.name)
		}
	}
	if r.AuthUser != "" {
		b.WriteString("/authuser=" + quoteSwitch(r.AuthUser))
	}
	if r.User != "" {
		b.WriteString("/user=" + quoteSwitch(r.User))
	}
	b.WriteByte('}')
	return b.String()
}

// quoteSwitch writes the argument of a switch.
func quoteSwitch(s string) string {
	return `"` + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `"`, `\"`) + `"`
}

// remote is the place of a name that begins with "{".
func remote(text string) (Name, error) {
	r, err := ParseRemote(text)
	if err != nil {
		return Name{}, err
	}
	return Name{Text: text, Space: r.Service, Remote: r}, nil
}

// ParseRemote reads "{host[:port][/switch...]}mailbox". Whatever is wrong with
// it is ErrRemote; a service that we do not have is ErrUnsupported.
func ParseRemote(text string) (Remote, error) {
	p := remoteParser{rest: text}
	if len(text) > maxRemoteName || !strings.HasPrefix(text, "{") || !p.host() || !p.switches() {
		return Remote{}, ErrRemote
	}
	r := p.r
	if r.Service == "" {
		r.Service = "imap"
	}
	r.Mailbox = p.rest
	switch {
	case r.SSL && r.TLS, r.NoTLS && r.TLS, r.Service != "imap" && r.NoShell:
		return Remote{}, ErrRemote
	case r.Service == "pop3" && (r.Box() != "INBOX" || r.AuthUser != ""):
		return Remote{}, ErrRemote
	case r.Service == "nntp":
		return Remote{}, &reason{ErrUnsupported, "news servers (NNTP) are not supported; a local spool is #news.GROUP"}
	case r.Service == "smtp":
		return Remote{}, &reason{ErrUnsupported, "a mail transport has no mailboxes"}
	}
	return r, nil
}

// A remoteParser reads a remote name from left to right.
type remoteParser struct {
	r    Remote
	rest string
}

// host reads "{host" and leaves what is behind it. No program is ever started
// with it, and yet a host is nothing but letters, digits and few other signs
// (CVE-2018-19518).
func (p *remoteParser) host() bool {
	s := p.rest[1:]
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 || strings.Trim(s[1:end], "0123456789abcdefABCDEF:.%") != "" {
			return false
		}
		p.r.Host, p.rest = s[:end+1], s[end+1:]
		return true
	}
	end := strings.IndexAny(s, "/:}")
	if end < 1 || end > maxRemoteHost || s[0] == '-' {
		return false
	}
	for _, c := range []byte(s[:end]) {
		if !isAlpha(c) && !isDigit(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	p.r.Host, p.rest = s[:end], s[end:]
	return true
}

// switches reads the port and the switches up to the "}", and leaves the
// mailbox.
func (p *remoteParser) switches() bool {
	for p.rest != "" {
		c := p.rest[0]
		p.rest = p.rest[1:]
		switch {
		case c == '}':
			return true
		case c == ':' && p.port():
		case c == '/' && p.oneSwitch():
		default:
			return false
		}
	}
	return false
}

func (p *remoteParser) port() bool {
	end := strings.IndexAny(p.rest, "/}")
	if end < 0 || p.r.Port != 0 {
		return false
	}
	n, err := strconv.ParseUint(p.rest[:end], 10, 16)
	p.r.Port, p.rest = int(n), p.rest[end:]
	return err == nil && n > 0
}

// oneSwitch reads "name" or "name=argument".
func (p *remoteParser) oneSwitch() bool {
	end := strings.IndexAny(p.rest, "/:}=")
	if end < 0 {
		return false
	}
	name := strings.ToLower(p.rest[:end])
	given := p.rest[end] == '='
	p.rest = p.rest[end:]
	if !given {
		return p.flag(name)
	}
	p.rest = p.rest[1:]
	arg, ok := p.argument()
	return ok && p.option(name, arg)
}

// argument reads a word, or a quoted string with "\" escapes.
func (p *remoteParser) argument() (string, bool) {
	if !strings.HasPrefix(p.rest, `"`) {
		end := strings.IndexAny(p.rest, "/:}")
		if end < 1 {
			return "", false
		}
		arg := p.rest[:end]
		p.rest = p.rest[end:]
		return arg, true
	}
	var arg []byte
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; c {
		case '"':
			p.rest = p.rest[i+1:]
			return string(arg), len(arg) > 0
		case '\\':
			if i++; i == len(p.rest) {
				return "", false
			}
			arg = append(arg, p.rest[i])
		default:
			arg = append(arg, c)
		}
	}
	return "", false // CVE-2005-2933: nothing closes it
}

// option takes a switch that has an argument, once.
func (p *remoteParser) option(name, arg string) bool {
	switch name {
	case "service":
		return p.service(strings.ToLower(arg))
	case "user":
		return setUser(&p.r.User, arg)
	case "authuser":
		return setUser(&p.r.AuthUser, arg)
	}
	return false
}

// setUser takes a name that nothing in it makes dangerous on a command line.
func setUser(to *string, user string) bool {
	if *to != "" || len(user) > maxRemoteUser || user[0] == '-' {
		return false
	}
	for _, c := range []byte(user) {
		if c < ' ' || c == 0x7F {
			return false
		}
	}
	*to = user
	return true
}

// flag takes a switch without an argument.
func (p *remoteParser) flag(name string) bool {
	r := &p.r
	for _, s := range []struct {
		name string
		flag *bool
	}{
		{"anonymous", &r.Anonymous},
		{"debug", &r.Debug},
		{"readonly", &r.ReadOnly},
		{"secure", &r.Secure},
		{"loser", &r.Loser},
		{"norsh", &r.NoShell},
		{"ssl", &r.SSL},
		{"tls", &r.TLS},
		{"tls-sslv23", &r.TLS},
		{"notls", &r.NoTLS},
		{"tryssl", &r.TrySSL},
		{"novalidate-cert", &r.NoValidate},
	} {
		if s.name == name {
			*s.flag = true
			return true
		}
	}
	if name == "validate-cert" {
		return !r.NoValidate
	}
	return p.service(name)
}

// service takes the name of a protocol, once.
func (p *remoteParser) service(name string) bool {
	services := map[string]string{
		"imap": "imap", "imap2": "imap", "imap2bis": "imap", "imap4": "imap", "imap4rev1": "imap",
		"pop3": "pop3", "pop": "pop3", "nntp": "nntp", "smtp": "smtp", "submit": "smtp",
	}
	if p.r.Service != "" || services[name] == "" {
		return false
	}
	p.r.Service = services[name]
	return true
}
