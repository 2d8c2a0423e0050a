package mailboxtest_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// Each mutant is a driver that breaks one sentence of the contract. The named
// subtest must fail on it, or the suite proves nothing.
var mutants = []struct {
	name, subtest string
	mutant
}{
	{"probes everything", "Probe", mutant{probe: func(bool) bool { return true }}},
	{"probes nothing", "Create", mutant{probe: func(bool) bool { return false }}},
	{"ignores the context", "Cancelled", mutant{noContext: true}},
	{"opens what is not there", "OpenMissing", mutant{makes: true}},
	{"appends to what is not there", "AppendMissing", mutant{makes: true}},
	{"creates what exists", "Create", mutant{forgives: mailbox.ErrExist}},
	{"deletes what is open", "Busy", mutant{forgives: mailbox.ErrBusy}},
	{"deletes what is not there", "Delete", mutant{forgives: mailbox.ErrNotExist}},
	{"renames what is not there", "Rename", mutant{forgives: mailbox.ErrNotExist}},
	{"adds to an old mailbox as if new", "New", mutant{options: func(o *mailbox.AppendOptions) { o.New = false }, makes: true}},
	{"gives its own UIDs", "KeepUIDs", mutant{options: func(o *mailbox.AppendOptions) { o.UIDValidity = 0 }}},
	{"creates no keyword unborne", "AllKeywords", mutant{options: func(o *mailbox.AppendOptions) {
		if len(o.Keywords) == 3 && o.Keywords[0] == "One" {
			o.Keywords = []string{"", "", "Three"}
		}
	}}},

	{"drops keywords", "Keywords", mutant{item: func(it *mailbox.Item) { it.Flags.Keywords = 0 }}},
	{"drops too many keywords in silence", "TooManyKeywords", mutant{item: func(it *mailbox.Item) { it.Flags.Keywords &= 1 }}},
	{"drops a flag", "Flags", mutant{item: func(it *mailbox.Item) { it.Flags.System &^= mailbox.Draft }}},
	{"keeps no zone", "Dates", mutant{item: func(it *mailbox.Item) { it.Date.Zone = 0 }}},
	{"takes -0000 for +0000", "Dates", mutant{item: func(it *mailbox.Item) { it.Date.MinusZero = false }}},
	{"makes dates valid", "Dates", mutant{item: func(it *mailbox.Item) { it.Date.Day = min(it.Date.Day, 28) }}},
	{"dates by another clock", "NoDate", mutant{item: func(it *mailbox.Item) { it.Date = mailbox.Date{Year: 1999, Month: 1, Day: 1} }}},
	{"forgets the sender", "Senders", mutant{item: func(it *mailbox.Item) { it.Sender = "" }}},
	{"believes any size", "AddError", mutant{item: func(it *mailbox.Item) { it.Size = -1 }}},
	{"passes over read errors", "AddError", mutant{item: func(it *mailbox.Item) { it.Text = deaf{it.Text} }}},
	{"quotes in silence", "Texts", mutant{text: func(s string) string { return strings.ReplaceAll(s, "\nFrom ", "\n>From ") }}},
	{"drops bare CR", "Texts", mutant{text: func(s string) string { return strings.ReplaceAll(s, "\ry", "y") }}},
	{"takes nothing after a refusal", "ZeroLength", mutant{refuses: mailbox.ErrUnsupported}},
	{"ends at NUL", "TextsTogether", mutant{text: func(s string) string { s, _, _ = strings.Cut(s, "\x00"); return s }}},
	{"adds a newline", "Texts", mutant{text: func(s string) string { return strings.TrimSuffix(s, "\r\n") + "\r\n" }}},
	{"cuts long lines", "Texts", mutant{text: func(s string) string { return strings.ReplaceAll(s, strings.Repeat("b", 66000), "") }}},
	{"believes status headers", "Texts", mutant{text: func(s string) string { return strings.Replace(s, "Status: RO\r\n", "", 1) }}},
	{"reports too much", "Texts", mutant{altered: mailbox.Altered{QuotedFrom: 1}}},
	{"commits in Abort", "Abort", mutant{abortCommits: true}},
	{"tells no UIDs", "UIDs", mutant{uids: func(*mailbox.UIDs) {}}},

	{"sizes are off", "Texts", mutant{message: func(m *mailbox.Message) { m.Size++ }}},
	{"UIDs start anew", "UIDs", mutant{message: func(m *mailbox.Message) { m.UID = m.Seq }}},
	{"always recent", "Recent", mutant{message: func(m *mailbox.Message) { m.Flags.System |= mailbox.Recent }}},
	{"UIDVALIDITY changes", "UIDs", mutant{status: func(s *mailbox.Status) { validity++; s.UIDValidity = validity }}},
	{"counts unseen wrongly", "Flags", mutant{status: func(s *mailbox.Status) { s.Unseen = s.Messages }}},
	{"loses flags", "Store", mutant{storesNothing: true}},
	{"loses keywords", "StoreKeywords", mutant{storesNothing: true}},
	{"stores when read-only", "ReadOnlyRefuses", mutant{storesNothing: true}},
	{"stores without others seeing it", "PingFlags", mutant{storesNothing: true}},
	{"expunges one too many", "Expunge", mutant{doomed: func(s mailbox.Set) mailbox.Set { s.Add(2); return s }}},
	{"never expunges the first", "PingExpunge", mutant{doomed: func(s mailbox.Set) mailbox.Set { return mailbox.Set{} }}},
	{"sees nothing of others", "PingAppend", mutant{blind: true}},
	{"sees nothing of others' expunges", "TwoWriters", mutant{blind: true}},
	{"lists all", "Sets", mutant{listsAll: true}},
	{"reads behind the end", "ReadFixture", mutant{opensAny: true}},
	{"gives no header", "Texts", mutant{content: func(c mailbox.Content) mailbox.Content { return headless{c} }}},
	{"writes from the start", "Texts", mutant{content: func(c mailbox.Content) mailbox.Content { return forgetful(c) }}},
	{"reads no more after Header", "Texts", mutant{content: func(c mailbox.Content) mailbox.Content { return tired{c} }}},
	{"shows mail before Commit", "Uncommitted", mutant{early: true}},
	{"shows mail before Commit", "Deliveries", mutant{early: true}},
	{"flags mail that nobody has seen", "Interleaved", mutant{looksFirst: true}},
	{"expunges the first too", "Many", mutant{doomed: func(s mailbox.Set) mailbox.Set { s.Add(1); return s }}},
	{"loses flags", "Model", mutant{storesNothing: true}},
	{"closes once", "ReadOnlyRefuses", mutant{closesOnce: true}},
	{"reads from one reader only", "Sources", mutant{item: func(it *mailbox.Item) { it.Text = oneRead(it.Text) }}},
}

var validity uint32

// deaf turns errors of a reader into its end.
type deaf struct{ io.Reader }

func (d deaf) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}

// oneRead gives what a single call of Read gives.
func oneRead(r io.Reader) io.Reader {
	p := make([]byte, 1<<20)
	n, _ := r.Read(p)
	return bytes.NewReader(p[:n])
}

func harness(m *mutant) mailboxtest.Harness {
	return mailboxtest.Harness{
		New: func(t *testing.T) (mailbox.Driver, *mailbox.Env) {
			env := mailboxtest.NewEnv(t)
			mem := mailboxtest.NewMemory(env, "memory")
			if m == nil {
				return mem, env
			}
			return &mutantDriver{mem, m}, env
		},
		Exact: true, Zone: true, Sender: true, MaxKeywords: mailbox.MaxKeywords, UIDs: true, Shared: true, Busy: true,
	}
}

func TestMemory(t *testing.T) { mailboxtest.Run(t, harness(nil)) }

const mutantVar = "MAILBOXTEST_MUTANT"

// TestMutant runs the suite on the mutant of that name; see TestMutants.
func TestMutant(t *testing.T) {
	for _, m := range mutants {
		if m.name == os.Getenv(mutantVar) {
			mailboxtest.Run(t, harness(&m.mutant))
			return
		}
	}
	t.Skip("no such mutant")
}

func TestMutants(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		cmd := exec.Command(self, "-test.run", "^TestMutant$/^"+m.subtest+"$")
		cmd.Env = append(os.Environ(), mutantVar+"="+m.name)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || !strings.Contains(string(out), "--- FAIL: TestMutant/"+m.subtest) || strings.Contains(string(out), "panic:") {
			t.Errorf("a driver that %s: subtest %s does not fail as it should: %v\n%s", m.name, m.subtest, err, out)
		}
	}
}
