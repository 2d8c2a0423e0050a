package mailboxtest

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
)

// A Harness tells Run about one driver. What is not set is not expected of it.
type Harness struct {
	// New returns a driver in surroundings of its own, best those of NewEnv.
	New func(t *testing.T) (mailbox.Driver, *mailbox.Env)

	// Name makes a name in env; nil is a file below env.Home.
	Name func(env *mailbox.Env, name string) mailbox.Name

	// Foreign is a file that another format owns; "" where the driver knows no
	// files, or takes every one.
	Foreign string

	// Fixture makes a mailbox at n in a way that the driver has not, and
	// returns the texts of its messages. It is for formats that cannot be
	// written; all that writes is then not tested.
	Fixture func(t *testing.T, env *mailbox.Env, n mailbox.Name) []string

	// Except are subtests that are not for this driver, and why.
	Except map[string]string

	Exact       bool // every text is kept octet for octet
	Zone        bool // internal dates keep their zone, not only the moment
	Sender      bool // envelope senders are kept
	MaxKeywords int  // keywords that a mailbox has room for
	UIDs        bool // Commit tells the UIDs
	Shared      bool // two read-write sessions may be open at once
	Busy        bool // a mailbox that is open cannot be deleted or renamed
	Alone       bool // nor can messages be removed while another session has it open
	Unlocked    bool // deliveries and sessions take no lock: nobody can keep them out
	Numbers     bool // UIDs are kept, but other programs give numbers again: UIDVALIDITY is each session's own, UIDNEXT one above the highest
	Bare        bool // nothing but messages is kept: each session makes UIDs up, and an empty mailbox has no format
}

// Run runs the contract. Each subtest has a driver of its own.
func Run(t *testing.T, h Harness) {
	if h.Name == nil {
		h.Name = fileName
	}
	for _, tt := range []struct {
		name   string
		writes bool
		test   func(b *bench)
	}{
		{"Probe", false, testProbe},
		{"OpenMissing", false, testOpenMissing},
		{"ReadOnlyOpen", false, testReadOnlyOpen},
		{"ReadOnlyRefuses", false, testReadOnlyRefuses},
		{"ReadFixture", false, testReadFixture},
		{"Cancelled", false, testCancelled},
		{"Create", true, testCreate},
		{"Texts", true, testTexts},
		{"TextsTogether", true, testTextsTogether},
		{"ZeroLength", true, testZeroLength},
		{"Sources", true, testSources},
		{"Dates", true, testDates},
		{"NoDate", true, testNoDate},
		{"Flags", true, testFlags},
		{"Keywords", true, testKeywords},
		{"AllKeywords", true, testAllKeywords},
		{"TooManyKeywords", true, testTooManyKeywords},
		{"Senders", true, testSenders},
		{"AppendMissing", true, testAppendMissing},
		{"Abort", true, testAbort},
		{"AddError", true, testAddError},
		{"Uncommitted", true, testUncommitted},
		{"Deliveries", true, testDeliveries},
		{"New", true, testNew},
		{"KeepUIDs", true, testKeepUIDs},
		{"UIDs", true, testUIDs},
		{"Sets", true, testSets},
		{"Recent", true, testRecent},
		{"Store", true, testStore},
		{"StoreKeywords", true, testStoreKeywords},
		{"Expunge", true, testExpunge},
		{"PingAppend", true, testPingAppend},
		{"PingFlags", true, testPingFlags},
		{"PingExpunge", true, testPingExpunge},
		{"TwoWriters", true, testTwoWriters},
		{"Interleaved", true, testInterleaved},
		{"Many", true, testMany},
		{"Model", true, testModel},
		{"Foreign", true, testForeign},
		{"SameFile", true, testSameFile},
		{"Delete", true, testDelete},
		{"Rename", true, testRename},
		{"Busy", true, testBusy},
		{"Hold", true, testHold},
		{"HoldReplaced", true, testHoldReplaced},
	} {
		if tt.writes && h.Fixture != nil {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			if why := h.Except[tt.name]; why != "" {
				t.Skip(why)
			}
			b := &bench{T: t, h: h}
			b.d, b.env = h.New(t)
			tt.test(b)
		})
	}
}

// fileName names a file below the home directory.
func fileName(env *mailbox.Env, name string) mailbox.Name {
	return mailbox.Name{Text: name, Path: filepath.Join(env.Home, name)}
}

// NewEnv returns surroundings below a new temporary directory: a home, a spool
// beside it, a directory for locks. The clock begins now and goes on by a
// millisecond whenever it is read, in a zone of its own. Notices go to the
// log of the test.
func NewEnv(t testing.TB) *mailbox.Env {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"home", "spool", "locks"} {
		mkdir(t, filepath.Join(dir, sub))
	}
	clock := time.Now().In(time.FixedZone("", 5*3600+1800))
	return &mailbox.Env{
		User: "alice", Home: filepath.Join(dir, "home"), Spool: filepath.Join(dir, "spool", "alice"),
		Host: "mail.example.org", Dir: filepath.Join(dir, "home"),
		Now: func() time.Time {
			clock = clock.Add(time.Millisecond)
			return clock
		},
		Notify:      func(_ mailbox.Level, text string) { t.Log("notice:", text) },
		LockTimeout: 2 * time.Second,
		LockDir:     filepath.Join(dir, "locks"), StateDir: filepath.Join(dir, "state"),
		Config: mailbox.DefaultConfig(),
	}
}

// A bench is one subtest at work on its driver. What goes wrong in its methods
// ends the subtest.
type bench struct {
	*testing.T
	h   Harness
	d   mailbox.Driver
	env *mailbox.Env
}

var ctx = context.Background()

func (b *bench) name(s string) mailbox.Name { return b.h.Name(b.env, s) }

// ok ends the test at an error.
func (b *bench) ok(what string, err error) {
	b.Helper()
	if err != nil {
		b.Fatalf("%s: %v", what, err)
	}
}

// box creates an empty mailbox.
func (b *bench) box(name string) mailbox.Name {
	b.Helper()
	n := b.name(name)
	if c, can := b.d.(mailbox.Creator); can {
		b.ok("create "+name, c.Create(ctx, n))
		return n
	}
	b.add(n, mailbox.AppendOptions{New: true})
	return n
}

// begin begins a delivery, which is aborted at the end of the test.
func (b *bench) begin(n mailbox.Name, o mailbox.AppendOptions) mailbox.Delivery {
	b.Helper()
	a, can := b.d.(mailbox.Appender)
	if !can {
		b.Skip("the driver does not append")
	}
	del, err := a.Append(ctx, n, o)
	b.ok("append to "+n.Text, err)
	b.Cleanup(func() {
		if err := del.Abort(); err != nil {
			b.Errorf("abort at the end: %v", err)
		}
	})
	return del
}

// add delivers items together and returns what was altered in each.
func (b *bench) add(n mailbox.Name, o mailbox.AppendOptions, items ...mailbox.Item) []mailbox.Altered {
	b.Helper()
	del := b.begin(n, o)
	var out []mailbox.Altered
	for i, it := range items {
		alt, err := del.Add(it)
		if err != nil {
			b.Fatalf("add message %d: %v", i+1, err)
		}
		out = append(out, alt)
	}
	_, err := del.Commit()
	b.ok("commit", err)
	return out
}

// fill appends plain messages whose subjects are the words.
func (b *bench) fill(n mailbox.Name, words ...string) {
	b.Helper()
	for _, w := range words {
		b.add(n, mailbox.AppendOptions{}, letterOf(w))
	}
}

// someDate is an internal date that every format can hold.
var someDate = mailbox.Date{Year: 2021, Month: 2, Day: 5, Hour: 6, Minute: 7, Second: 8}

// letterOf is a plain message about word.
func letterOf(word string) mailbox.Item {
	return item("Subject: " + word + "\r\n\r\nThis is about " + word + ".\r\n")
}

// item is a message of the given text.
func item(text string) mailbox.Item {
	return mailbox.Item{Message: mailbox.Message{Size: int64(len(text)), Date: someDate}, Text: strings.NewReader(text)}
}

// open opens a mailbox, which is closed at the end of the test.
func (b *bench) open(n mailbox.Name, m mailbox.Mode) mailbox.Mailbox {
	b.Helper()
	mb, err := b.d.Open(ctx, n, m)
	b.ok("open "+n.Text, err)
	b.Cleanup(func() { mb.Close() })
	if m == mailbox.ReadWrite && mb.Status().ReadOnly && b.h.Fixture == nil {
		b.Fatalf("open %s read-write: got it read-only", n.Text)
	}
	return mb
}

func (b *bench) close(mb mailbox.Mailbox) {
	b.Helper()
	b.ok("close", mb.Close())
}

// settle opens and closes read-write, so that UIDs are given and nothing is
// recent any more.
func (b *bench) settle(n mailbox.Name) {
	b.Helper()
	b.close(b.open(n, mailbox.ReadWrite))
}

// messages lists all messages.
func (b *bench) messages(mb mailbox.Mailbox) []mailbox.Message {
	b.Helper()
	var out []mailbox.Message
	for m, err := range mb.Messages(mailbox.All) {
		b.ok("messages", err)
		out = append(out, m)
	}
	if n := mb.Status().Messages; int(n) != len(out) {
		b.Errorf("Status says %d messages, Messages gives %d", n, len(out))
	}
	for i, m := range out {
		if int(m.Seq) != i+1 || m.UID == 0 || i > 0 && m.UID <= out[i-1].UID {
			b.Errorf("message %d of %d: Seq %d, UID %d: sequence numbers must count from 1, UIDs ascend", i+1, len(out), m.Seq, m.UID)
		}
	}
	return out
}

// flagsOf are the flags of m by name, sorted, but for Recent.
func flagsOf(mb mailbox.Mailbox, m mailbox.Message) string {
	m.Flags.System &^= mailbox.Recent
	names := m.Flags.Names(mb.Status().Keywords)
	slices.Sort(names)
	return strings.Join(names, " ")
}
