package mailbox

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"
)

// A Name is a parsed mailbox name: what the user wrote and where that is.
type Name struct {
	Text   string // as the user wrote it, without a #driver. prefix
	Format string // format forced by "#driver.FORMAT/", "" for none
	Path   string // absolute path of a local mailbox; "" for INBOX (each format has its own place)
	Inbox  bool   // the name is INBOX, in any case
	Space  string // driver that alone knows the name: "mh" for #mh/, "news" for #news., "stream" for "-", "imap" or "pop3" for {host}; "" for all
	Remote Remote // what {host} says; zero for a local name
}

// A Level says how much a notice matters.
type Level int

// Info is shown on request (-v), Warn always.
const (
	Info Level = iota
	Warn
)

// An Env is the surroundings that names, formats and locks depend on. Tests
// set each field; commands use NewEnv. It must not change once drivers use it.
type Env struct {
	User  string // login name
	Home  string // home directory, absolute
	Spool string // the system INBOX: /var/mail/USER
	Host  string // local host name, at most 80 octets
	Dir   string // working directory, for names that begin "./" or "../"

	Now    func() time.Time    // the clock; its Location is the local zone
	Notify func(Level, string) // what the user should hear; never nil

	LockTimeout time.Duration // how long to wait for a lock that somebody holds; 0 is 5 minutes
	LockDir     string        // where session locks live: "/tmp"
	StateDir    string        // where side files go when a spool directory is not writable
	BlackBox    string        // directory of everybody's box, of which Home is one; "" where users have homes

	// Unpacker reads compressed messages, which Dovecot may have stored in
	// Maildirs. It returns what unpacks octets that begin with head, nil where
	// they are not packed; stop ends that. Where it is nil there are none.
	Unpacker func(head []byte) func(r io.Reader) (out io.Reader, stop func(), err error)

	Config Config
}

// Config is what /etc/c-client.cf may set.
type Config struct {
	NewFormat      string   // format of new mailboxes: "unix", or SameAsInbox
	EmptyFormat    string   // format that an empty file takes at the first append: "unix", SameAsInbox, InvalidFormat
	Subdir         string   // mail-subdirectory, below Home
	SystemInbox    string   // system-inbox: replaces Env.Spool; "" for none
	Keywords       []string // default keywords of new mailboxes
	FromHeaderOnly bool     // from-widget header-only: quote only lines that are From_ lines

	MHPath       string // mh-path: where #mh/ is, below Home unless absolute; "" for what ~/.mh_profile says
	MHAllowInbox bool   // mh-allow-inbox: INBOX may be #mhinbox
	NewsActive   string // news-active-file
	NewsSpool    string // news-spool-directory
	NewsState    string // news-state-file; "" for ~/.newsrc

	MailboxMode fs.FileMode // 0600
	DirMode     fs.FileMode // 0700
	LockMode    fs.FileMode // 0666

	QuotaCommand string // asked before each delivery; "" for none

	DotLockTimeout time.Duration // age at which a dot lock is seized: 5 minutes
	NoLockWarning  bool          // disable-lock-warning
	BlackBoxDir    string        // black-box-directory: where the boxes of users are; "" for none
	BlackBoxHome   string        // black-box-default-home-directory: the box of who has none there
	Restricted     bool          // restrict-mailbox-access or --restrict: no absolute names, no "..", no "~user"
}

// Drivers are the formats in probe order: the order is behaviour.
type Drivers []Driver

// Named returns the driver of that exact name, or nil.
func (ds Drivers) Named(format string) Driver {
	for _, d := range ds {
		if d.Name() == format {
			return d
		}
	}
	return nil
}

// Default returns the driver that Config.NewFormat or Config.EmptyFormat
// names, or nil. Same as INBOX is unix where INBOX has no format yet.
func (ds Drivers) Default(format string) Driver {
	if format != SameAsInbox {
		return ds.Named(format)
	}
	d, err := ds.Find(Name{Text: "INBOX", Inbox: true})
	if err != nil || d.Name() == "dummy" || d.Name() == "phile" {
		return ds.Named("unix")
	}
	return d
}

// Find returns the first driver that knows n. A name that nothing has gives
// ErrNotExist. When a driver cannot tell, its error stands: unknown is not
// "gone".
func (ds Drivers) Find(n Name) (Driver, error) {
	for _, d := range ds {
		if n.Space != "" && d.Name() != n.Space {
			continue
		}
		ok, err := d.Probe(n)
		if err != nil {
			return nil, err
		}
		if ok {
			return d, nil
		}
	}
	if n.Remote != (Remote{}) && ds.Named(n.Space) == nil {
		return nil, &Error{Op: "open", Name: n.Text, Off: -1, Err: &reason{ErrUnsupported, "this program has no remote mailboxes"}}
	}
	return nil, &Error{Op: "open", Name: n.Text, Off: -1, Err: ErrNotExist}
}

// Open finds the driver of n and opens it.
func (ds Drivers) Open(ctx context.Context, n Name, m Mode) (Mailbox, error) {
	d, err := ds.Find(n)
	if err != nil {
		return nil, err
	}
	return d.Open(ctx, n, m)
}

// IsTemporary reports whether trying again later may help: everything that is
// not known to be final is temporary.
func IsTemporary(err error) bool {
	for _, final := range []error{ErrNotExist, ErrExist, ErrReadOnly, ErrFormat, ErrCorrupt, ErrName, ErrUnsupported, ErrNotMailbox} {
		if errors.Is(err, final) {
			return false
		}
	}
	return err != nil
}
