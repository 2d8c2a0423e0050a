package ops_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
)

var nestedNames = []string{"m/box", "m/box/kid", "m/box/kid/two"}

// convertAll converts mailboxes in each other, the innermost first.
func convertAll(t *testing.T, s *ops.Session, to string) {
	t.Helper()
	names, _ := s.DeepestFirst(append(nestedNames, "m/box/file"))
	for _, name := range names {
		if c, err := s.Convert(t.Context(), name, ops.ConvertOptions{To: to}); err != nil || c.Copied != 3 {
			t.Fatalf("%s to %s: got %+v, %v", name, to, c, err)
		}
	}
}

// Dovecot reads a tree of mix mailboxes that has become one of Maildirs.
func TestConvertNestedDovecot(t *testing.T) {
	home, who := mailboxtest.PlainHome(t)
	s := corpusSession(t, home)
	dovecot := mailboxtest.NewDovecot(t, home, who, fmt.Sprintf("mail_location = maildir:%s/m:INBOX=%[1]s/Maildir:LAYOUT=fs", home))
	nestBoxes(t, s, home, "mix", nestedNames...)
	convertAll(t, s, "maildir")
	for _, name := range append(nestedNames, "m/box/file") {
		n, err := s.Env.Resolve(name)
		if err != nil {
			t.Fatal(err)
		}
		mb, err := s.Drivers.Open(t.Context(), n, mailbox.ReadOnly)
		if err != nil {
			t.Fatal(err)
		}
		ours := mailboxtest.ReadAll(t, mb)
		if err := mb.Close(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(ours, dovecot.Read(strings.TrimPrefix(name, "m/"))); d != "" || len(ours.Messages) != 3 {
			t.Errorf("%s: %d messages (-ours +Dovecot):\n%s", name, len(ours.Messages), d)
		}
	}
}

// The original reads what has become of a tree.
func TestConvertNestedOriginal(t *testing.T) {
	const original = "/usr/bin/mailutil"
	if out, _ := exec.Command(original).CombinedOutput(); !strings.Contains(string(out), "2007f") {
		t.Skip("the original is not installed")
	}
	for _, formats := range [][2]string{{"mix", "mx"}, {"mx", "mix"}} {
		home, who := mailboxtest.PlainHome(t)
		s := corpusSession(t, home)
		nestBoxes(t, s, home, formats[0], nestedNames...)
		convertAll(t, s, formats[1])
		mailboxtest.Give(t, home, who)
		for i, name := range append(nestedNames, "m/box/file") {
			out := fmt.Sprintf("out%d", i)
			cmd := exec.Command(original, "copy", name, "#driver.unix/"+out)
			cmd.Dir, cmd.Env = home, []string{"HOME=" + home, "PATH=/usr/bin:/bin"}
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
			if said, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s from %v: %v\n%s", name, formats, err, said)
				continue
			}
			if st, err := s.Check(t.Context(), name); err != nil || st.Driver != formats[1] {
				t.Errorf("%s from %v: %+v, %v", name, formats, st, err)
			}
			if d := cmp.Diff(textsIn(t, s, name), textsIn(t, s, filepath.Join(home, out))); d != "" {
				t.Errorf("%s from %v (-ours +the original):\n%s", name, formats, d)
			}
		}
	}
}

// textsIn are the texts of a mailbox.
func textsIn(t *testing.T, s *ops.Session, name string) (texts []string) {
	t.Helper()
	_, letters := lettersIn(t, s, name)
	for _, l := range letters {
		texts = append(texts, string(l.text))
	}
	return texts
}
