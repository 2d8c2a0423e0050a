package mailbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strings"
)

// Formats are the names by which "#driver.FORMAT/" and the configuration may
// call a format, in the original's probe order; maildir is ours. Whether this program has a
// driver of that name, Drivers.Named says.
var Formats = []string{
	"mbox", "imap", "nntp", "pop3", "mix", "mx", "maildir", "mbx", "tenex", "mtx", "mh", "mmdf", "unix", "news", "phile", "dummy",
}

// maxName is how many octets a local name may have, NETMAXMBX of the original.
const maxName = 256

// Why a name is refused, in the words of the original. Each is an ErrName.
// The commands make the sentence: "Can't create " and the first three, ": "
// and the name; "mailbox NAME: " and the driver ones; ErrLineBreak names no
// name at all. ErrName alone is "Can't create NAME: invalid name".
var (
	ErrEightBit      error = &reason{ErrName, "mailbox name with 8-bit octet"}
	ErrOpenUTF7      error = &reason{ErrName, "unterminated modified UTF-7 name"}
	ErrBadUTF7       error = &reason{ErrName, "invalid modified UTF-7 name"}
	ErrLineBreak     error = &reason{ErrName, "mailbox with such a name"}
	ErrDriverSyntax  error = &reason{ErrName, "bad driver syntax"}
	ErrUnknownDriver error = &reason{ErrName, "unknown driver"}
)

// A reason is an error of some kind in words of its own.
type reason struct {
	kind error
	text string
}

func (r *reason) Error() string { return r.text }
func (r *reason) Unwrap() error { return r.kind }

// Resolve finds where a mailbox is that should exist:
//
//	INBOX         in any case: each format knows its own place
//	name, ~/name  below the home directory, or the mail subdirectory of it
//	~user/name    below that user's
//	/name         as it is
//	-             standard input, or standard output of a target
//	./name        below the working directory, and so ../name: not known to
//	              the original, which takes them to be below home
//	#mh/name, #mhinbox, #news.group
//	              what a driver alone knows: Space says which, Path is ""
//
// Names are kept octet for octet: "d/" stays "d/". A name that no mailbox can
// have is ErrNotExist, as in the original, but for ErrLineBreak; what we know but cannot do, such as
// #move, is ErrUnsupported. {host}name is what ParseRemote makes of it. With Config.Restricted the working directory,
// other users, "..", "//", "/~" and absolute names other than Spool do not
// exist. In a black box "~user/name" and "/user/name" are in the box of that user,
// and the working directory, "..", "//" and "/~" do not exist.
func (e *Env) Resolve(text string) (Name, error) {
	n, err := e.place(text)
	if errors.Is(err, ErrName) && !errors.Is(err, ErrLineBreak) {
		err = ErrNotExist
	}
	return n, nameError("open", text, err)
}

// ResolveTarget is Resolve for a mailbox that takes mail: "#driver.FORMAT/" (or
// \ or : for the /) may stand before the name, in that case only, and a name
// that no mailbox can have is ErrName or one of its kinds.
func (e *Env) ResolveTarget(text string) (Name, error) {
	format, rest, err := cutFormat(text)
	if err != nil {
		return Name{}, nameError("append", text, err)
	}
	n, err := e.place(rest)
	if err != nil {
		return Name{}, nameError("append", rest, err)
	}
	n.Format = format
	return n, nil
}

// ResolveNew is ResolveTarget for a mailbox that is to be made, by creating or
// renaming: its name must be modified UTF-7 (RFC 3501, 5.1.3) as well.
func (e *Env) ResolveNew(text string) (Name, error) {
	if !lineBreak(text) && !strings.HasPrefix(text, "{") { // a driver of remote names encodes them
		if err := checkUTF7(text); err != nil {
			return Name{}, nameError("create", text, err)
		}
	}
	return e.ResolveTarget(text)
}

// nameError makes an Error of a failure with a name; nil stays nil.
func nameError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Name: name, Off: -1, Err: err}
}

// cutFormat cuts "#driver.FORMAT/" from a name.
func cutFormat(text string) (format, rest string, err error) {
	const prefix = "#driver."
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return "", text, nil
	}
	text = text[len(prefix):]
	i := strings.IndexAny(text, `/\:`)
	if i < 1 {
		return "", "", ErrDriverSyntax
	}
	for _, f := range Formats {
		if f == text[:i] {
			return f, text[i+1:], nil
		}
	}
	return "", "", ErrUnknownDriver
}

// place resolves a name without a format.
func (e *Env) place(text string) (Name, error) {
	n := Name{Text: text}
	var err error
	switch {
	case lineBreak(text):
		return Name{}, ErrLineBreak
	case strings.HasPrefix(text, "{"):
		return remote(text)
	case text == "" || len(text) > maxName || text == "~":
		return Name{}, ErrName
	case text[0] == '#':
		return namespace(text)
	case text == "-":
		n.Space = "stream"
	case strings.EqualFold(text, "INBOX"):
		n.Inbox = true
	case e.Config.Restricted && !e.allowed(text), e.BlackBox != "" && outside(text):
		return Name{}, ErrName
	case e.BlackBox != "" && text[0] == '/':
		n.Path = e.BlackBox + text
	case e.BlackBox != "" && text[0] == '~' && text[1] != '/':
		n.Path = e.BlackBox + "/" + text[1:]
	case text[0] == '/':
		n.Path = text
	case text[0] == '~':
		n.Path, err = e.underTilde(text[1:])
	case inWorkingDir(text):
		n.Path, err = e.underDir(text)
	default:
		n.Path = e.under(e.Home, text)
	}
	if err != nil {
		return Name{}, err
	}
	return n, nil
}

// namespace resolves a name that begins with "#", or says what is wrong with
// it. Where such a mailbox is, its driver knows.
func namespace(text string) (Name, error) {
	space := ""
	switch {
	case strings.HasPrefix(text, "#news."):
		space = "news"
	case strings.EqualFold(text, "#mhinbox"), len(text) >= 4 && strings.EqualFold(text[:4], "#mh/"):
		space = "mh"
	default:
		return Name{}, otherSpace(text)
	}
	if strings.Contains(text, "..") || strings.Contains(text, "//") || strings.Contains(text, "/~") {
		return Name{}, ErrName
	}
	return Name{Text: text, Space: space}, nil
}

// otherSpace says that a namespace is not ours, or is none.
func otherSpace(text string) error {
	for _, ns := range []struct{ prefix, what string }{
		{"#ftp/", "the ftp namespace is"},
		{"#public/", "the public namespace is"},
		{"#shared/", "the shared namespace is"},
		{"#move", "mailboxes that pull mail from others are"},
		{"#pop", "mailboxes that pull mail from others are"},
	} {
		if len(text) >= len(ns.prefix) && strings.EqualFold(text[:len(ns.prefix)], ns.prefix) {
			return &reason{ErrUnsupported, ns.what + " not supported"}
		}
	}
	return ErrName
}

// lineBreak reports whether a name has an octet that is never allowed.
func lineBreak(text string) bool { return strings.ContainsAny(text, "\r\n\x00") }

// allowed reports whether a restricted user may use a local name.
func (e *Env) allowed(text string) bool {
	if text == e.Spool {
		return true
	}
	return text[0] != '/' && !inWorkingDir(text) &&
		(text[0] != '~' || strings.HasPrefix(text, "~/")) &&
		!strings.Contains(text, "..") && !strings.Contains(text, "//") && !strings.Contains(text, "/~")
}

// outside reports whether a name may lead out of the boxes.
func outside(text string) bool {
	return inWorkingDir(text) || strings.Contains(text, "..") || strings.Contains(text, "//") || strings.Contains(text, "/~")
}

// under returns where name is below a home directory.
func (e *Env) under(home, name string) string {
	dir := strings.TrimSuffix(home, "/")
	if sub := strings.Trim(e.Config.Subdir, "/"); sub != "" {
		dir += "/" + sub
	}
	return dir + "/" + name
}

// underTilde resolves what follows the "~": "/name" or "user/name".
func (e *Env) underTilde(text string) (string, error) {
	who, name, _ := strings.Cut(text, "/")
	if who == "" {
		return e.under(e.Home, name), nil
	}
	u, err := LookupUser(who)
	if _, unknown := errors.AsType[user.UnknownUserError](err); unknown {
		return "", ErrName
	}
	if err != nil {
		return "", err
	}
	return e.under(u.HomeDir, name), nil
}

// inWorkingDir reports whether a name is one that begins at the working
// directory.
func inWorkingDir(text string) bool {
	return text == "." || text == ".." || strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../")
}

// underDir resolves a name that begins with "." or "..".
func (e *Env) underDir(text string) (string, error) {
	if e.Dir == "" {
		return "", errors.New("the working directory is not known")
	}
	if rest, ok := strings.CutPrefix(text, "./"); ok {
		text = rest
	}
	return strings.TrimSuffix(e.Dir, "/") + "/" + text, nil
}

// Hint tells a user who meant a file of the working directory how to name it;
// "" when that is not what went wrong.
func (e *Env) Hint(name string) string {
	if name == "" || name == "-" || strings.ContainsRune("/~#{", rune(name[0])) || inWorkingDir(name) || e.Config.Restricted || e.BlackBox != "" {
		return ""
	}
	n, err := e.place(name)
	if err != nil || n.Inbox {
		return ""
	}
	here, err := e.underDir(name)
	if err != nil {
		return ""
	}
	if _, err := os.Lstat(n.Path); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if _, err := os.Lstat(here); err != nil {
		return ""
	}
	return fmt.Sprintf("%s exists in the current directory: write ./%s", name, name)
}

// checkUTF7 checks the form of a name in modified UTF-7: between "&" and "-"
// only letters of its base64, outside only 7-bit octets. What the base64 means
// is not looked at, as in the original.
func checkUTF7(s string) error {
	inside := false
	for i := range len(s) {
		c := s[i]
		switch {
		case inside && c == '-':
			inside = false
		case inside && !isAlpha(c) && !isDigit(c) && c != '+' && c != ',':
			return ErrBadUTF7
		case inside:
		case c == '&':
			inside = true
		case c >= 0x80:
			return ErrEightBit
		}
	}
	if inside {
		return ErrOpenUTF7
	}
	return nil
}
