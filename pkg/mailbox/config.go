package mailbox

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ConfigFile is where the toolkit's configuration is.
const ConfigFile = "/etc/c-client.cf"

// maxConfigKeywords is how many keywords formats have room for.
const maxConfigKeywords = 30

// Values of Config.NewFormat and Config.EmptyFormat that are not formats.
const (
	SameAsInbox   = "same-as-inbox" // the format of INBOX, unix where that has none
	InvalidFormat = "invalid"       // EmptyFormat only: an empty file takes no mail
)

// DefaultConfig returns what holds where nothing is configured.
func DefaultConfig() Config {
	return Config{
		NewFormat:      "unix",
		EmptyFormat:    "unix",
		NewsActive:     "/var/lib/news/active",
		NewsSpool:      "/var/spool/news",
		MailboxMode:    0o600,
		DirMode:        0o700,
		LockMode:       0o666,
		DotLockTimeout: 5 * time.Minute,
	}
}

// Configure reads a configuration file into e.Config and, where it names the
// system INBOX, e.Spool. Where it puts users into black boxes, Home, Spool and
// StateDir are those of the box of e.User. Warnings go to e.Notify. A file that
// does not exist leaves e as it is.
func (e *Env) Configure(file string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := ReadConfig(f, file, func(text string) { e.Notify(Warn, text) })
	if err != nil {
		return err
	}
	e.Config = c
	if c.SystemInbox != "" {
		e.Spool = c.SystemInbox
	}
	return e.enterBox()
}

// enterBox makes the box of the user the home directory: that of his name, or
// the one for everybody who has none. Who has neither is in no box.
func (e *Env) enterBox() error {
	dir := strings.TrimSuffix(e.Config.BlackBoxDir, "/")
	if e.Config.BlackBoxDir == "" {
		return nil
	}
	box := dir + "/" + e.User
	fi, err := os.Stat(box)
	switch {
	case err == nil && fi.IsDir() && !strings.Contains(e.User, "/"):
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: box of user %s: %w", ErrTemporary, e.User, err)
	case e.Config.BlackBoxHome != "":
		box = strings.TrimSuffix(e.Config.BlackBoxHome, "/")
	default:
		return nil
	}
	e.BlackBox, e.Home, e.Spool, e.StateDir = dir, box, box+"/INBOX", stateDir(box)
	return nil
}

// ReadConfig reads a configuration, lines of
//
//	set NAME VALUE
//
// with the name in any case. Options that have no meaning for local mailboxes
// are ignored, as are unknown ones and other lines. A last line without a line
// end counts, though the original passes over it. An unknown format is a warning, in the words of the original, and
// changes nothing. A value that cannot be understood is an error "file:line:
// ...": a protection that is silently not applied would be worse.
func ReadConfig(r io.Reader, file string, warn func(string)) (Config, error) {
	p := &configReader{c: DefaultConfig(), file: file, warn: warn}
	lines := bufio.NewReader(r)
	for line := 1; ; line++ {
		text, err := lines.ReadString('\n')
		if err != nil && err != io.EOF {
			return Config{}, fmt.Errorf("%s: %w", file, err)
		}
		if err := p.line(text); err != nil {
			return Config{}, fmt.Errorf("%s:%d: %w", file, line, err)
		}
		if err == io.EOF {
			return p.c, nil
		}
	}
}

// A configReader is a configuration that is being read.
type configReader struct {
	c    Config
	file string
	warn func(string)
}

// line takes one line.
func (p *configReader) line(text string) error {
	word, rest := cutWord(text)
	if !strings.EqualFold(word, "set") {
		return nil
	}
	name, value := cutWord(rest)
	name = strings.ToLower(name)
	err := p.set(name, value)
	switch {
	case err == errNoOption:
		return nil
	case value == "":
		err = errors.New("no value")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// cutWord cuts the first word from s, and the blanks around both.
func cutWord(s string) (word, rest string) {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], strings.TrimSpace(s[i:])
	}
	return s, ""
}

var errNoOption = errors.New("it means nothing here")

// set takes the value of an option, of which the name is in lower case. Where the
// value is "" it is an error whatever is returned.
func (p *configReader) set(name, v string) error {
	c := &p.c
	switch name {
	case "delivery-quota-command": // ours
		return absolute(&c.QuotaCommand, v)
	case "new-mailbox-format", "new-folder-format":
		return p.format(&c.NewFormat, "new", v)
	case "empty-mailbox-format", "empty-folder-format":
		return p.format(&c.EmptyFormat, "empty", v)
	case "mail-subdirectory":
		c.Subdir = v
	case "system-inbox":
		return absolute(&c.SystemInbox, v)
	case "keywords":
		p.keywords(v)
	case "from-widget":
		c.FromHeaderOnly = strings.EqualFold(v, "header-only")
	case "mailbox-protection":
		return mode(&c.MailboxMode, v)
	case "directory-protection":
		return mode(&c.DirMode, v)
	case "lock-protection":
		return mode(&c.LockMode, v)
	case "dot-lock-file-timeout":
		return minutes(&c.DotLockTimeout, v)
	case "disable-lock-warning":
		return yesNo(&c.NoLockWarning, v)
	case "black-box-directory":
		return absolute(&c.BlackBoxDir, v)
	case "black-box-default-home-directory":
		return absolute(&c.BlackBoxHome, v)
	case "restrict-mailbox-access":
		return p.restrict(v)
	case "mh-path":
		c.MHPath = v
	case "mh-allow-inbox":
		return yesNo(&c.MHAllowInbox, v)
	case "news-active-file":
		return absolute(&c.NewsActive, v)
	case "news-spool-directory":
		return absolute(&c.NewsSpool, v)
	case "news-state-file":
		return absolute(&c.NewsState, v)
	default:
		return errNoOption
	}
	return nil
}

// format takes the name of a format.
func (p *configReader) format(to *string, which, v string) error {
	switch l := strings.ToLower(v); {
	case l == "system-standard":
		*to = "unix"
	case l == SameAsInbox, l == InvalidFormat && which == "empty", slices.Contains(Formats, l):
		*to = l
	case l != "":
		p.warn(fmt.Sprintf("Unknown %s mailbox format in %s: %s", which, p.file, v))
	}
	return nil
}

// absolute takes an absolute path.
func absolute(to *string, v string) error {
	if !strings.HasPrefix(v, "/") {
		return fmt.Errorf("%s is not an absolute path", v)
	}
	*to = v
	return nil
}

// keywords takes "K1, K2 ...".
func (p *configReader) keywords(v string) {
	p.c.Keywords = nil
	for _, k := range strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		switch {
		case !ValidKeyword(k):
			p.warn(fmt.Sprintf("Invalid keyword in %s: %s", p.file, k))
		case len(p.c.Keywords) == maxConfigKeywords:
			p.warn(fmt.Sprintf("Too many keywords in %s: %s", p.file, k))
		default:
			p.c.Keywords = append(p.c.Keywords, k)
		}
	}
}

// mode takes a file mode in decimal: 384 is 0600.
func mode(to *fs.FileMode, v string) error {
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil || n > 0o777 {
		return fmt.Errorf("%s is not a mode in decimal, 0 to 511", v)
	}
	*to = fs.FileMode(n)
	return nil
}

func minutes(to *time.Duration, v string) error {
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil {
		return fmt.Errorf("%s is not a number of minutes", v)
	}
	*to = time.Duration(n) * time.Minute
	return nil
}

// yesNo takes a switch: 0 is off, any other number on.
func yesNo(to *bool, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil {
		return fmt.Errorf("%s is not a number", v)
	}
	*to = n != 0
	return nil
}

// restrict takes any of root, otherusers and all. They differ in the original;
// here each means all.
func (p *configReader) restrict(v string) error {
	for _, word := range strings.Fields(v) {
		switch strings.ToLower(word) {
		case "root", "otherusers", "all":
			p.c.Restricted = true
		default:
			return fmt.Errorf("%s is none of root, otherusers, all", word)
		}
	}
	return nil
}
