package mix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
)

var ctx = context.Background()

// TestOctets does what the original did to make the golden mailboxes, and
// compares all files but for sequences and numbers of files.
func TestOctets(t *testing.T) {
	w := newWorld(t)
	golden := w.golden("fresh")
	from := w.open(golden, mailbox.ReadOnly)
	n := w.name("ours")
	if err := w.Create(ctx, n); err != nil {
		t.Fatal(err)
	}
	if got, want := masked(w.files(n)), masked(w.files(w.golden("empty"))); got != want {
		t.Errorf("created\n got %s\nwant %s", got, want)
	}
	for m := range from.Messages(mailbox.All) {
		c, err := from.Open(m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		if err := deliver(w, n, mailbox.AppendOptions{}, mailbox.Item{Message: m, Text: c}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := masked(w.files(n)), masked(w.files(golden)); got != want {
		t.Errorf("appended\n got %s\nwant %s", got, want)
	}
	together := w.name("together")
	var items []mailbox.Item
	for m := range from.Messages(mailbox.All) {
		c, err := from.Open(m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, mailbox.Item{Message: m, Text: strings.NewReader(string(text))})
	}
	if err := deliver(w, together, mailbox.AppendOptions{New: true}, items...); err != nil {
		t.Fatal(err)
	}
	if got, want := masked(w.files(together)), masked(w.files(golden)); got != want {
		t.Errorf("new\n got %s\nwant %s", got, want)
	}
	// The same changes as were made to "basic" and "burped".
	err := session(w, n, func(b mailbox.Mailbox) error {
		return errors.Join(
			b.Store(mailbox.One(2), mailbox.Add, mailbox.FlagList{Keywords: []string{"$Forwarded", "Work"}}),
			b.Store(mailbox.One(4), mailbox.Add, mailbox.FlagList{Keywords: []string{"Work", "$Label1"}}))
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := masked(w.files(n)), masked(w.files(w.golden("basic"))); got != want {
		t.Errorf("flagged\n got %s\nwant %s", got, want)
	}
}

// masked prints files with the volatile numbers left out.
func masked(files map[string]string) string {
	var out []string
	for name, text := range files {
		lines := strings.SplitAfter(text, "\r\n")
		for i, l := range lines {
			switch {
			case name == metaName && len(l) == seqLen && strings.ContainsRune("SVN", rune(l[0])), strings.HasPrefix(name, prefix) && i == 0 && l[:min(1, len(l))] == "S":
				lines[i] = l[:1] + "...\r\n"
			case name == indexName && len(l) == indexLen:
				lines[i] = l[:39] + "...     " + l[47:]
			case name == statusName && len(l) == statusLen:
				lines[i] = l[:24] + "...\r\n"
			}
		}
		if _, ok := dataNumber(name); ok {
			name = "data"
		}
		out = append(out, fmt.Sprintf("%s %q", name, strings.Join(lines, "")))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func TestRollOver(t *testing.T) {
	w := newWorld(t)
	n := w.name("box")
	if err := w.Create(ctx, n); err != nil {
		t.Fatal(err)
	}
	big := func(size int) mailbox.Item { return item(strings.Repeat("x", size)) }
	sizes := func() (out []int) {
		for _, name := range slices.Sorted(mapKeys(w.files(n))) {
			if _, ok := dataNumber(name); ok {
				out = append(out, len(w.files(n)[name]))
			}
		}
		return out
	}
	for _, step := range []struct {
		size int
		want []int
	}{
		{2 * fullFile, []int{2*fullFile + tokenLen}}, // an empty file takes anything
		{fullFile - 2*tokenLen - 10, []int{2*fullFile + tokenLen, fullFile - tokenLen - 10}},
		{11, []int{2*fullFile + tokenLen, fullFile - tokenLen - 10, 11 + tokenLen}},
		{10, []int{2*fullFile + tokenLen, fullFile - tokenLen - 10, 21 + 2*tokenLen}},
	} {
		if err := deliver(w, n, mailbox.AppendOptions{}, big(step.size)); err != nil {
			t.Fatal(err)
		}
		if got := sizes(); !slices.Equal(got, step.want) {
			t.Fatalf("after %d octets: got %v, want %v", step.size, got, step.want)
		}
	}
	// Each file loses messages in another way.
	if err := session(w, n, expunge(1, 2, 3)); err != nil {
		t.Fatal(err)
	}
	if got := sizes(); !slices.Equal(got, []int{10 + tokenLen}) {
		t.Errorf("after expunging: got %v, want one file", got)
	}
	if _, all := w.inspectAll(n); len(all) > 0 {
		t.Errorf("found %v", all)
	}
	many := make([]mailbox.Item, 40)
	for i := range many {
		many[i] = big(fullFile)
	}
	if err := deliver(w, n, mailbox.AppendOptions{}, many...); err != nil {
		t.Fatal(err)
	}
	for _, size := range sizes() {
		if size > hugeFile {
			t.Errorf("a file has %d octets", size)
		}
	}
	if got := w.open(n, mailbox.ReadOnly).Status(); got.Messages != 41 {
		t.Errorf("got %d messages, want 41", got.Messages)
	}
}

func mapKeys(m map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestCreateRefused(t *testing.T) {
	w := newWorld(t)
	w.golden("dual")
	for name, want := range map[string]struct {
		kind error
		text string
	}{
		"dual":        {mailbox.ErrExist, "Can't create mailbox dual: mailbox already exists"},
		"dual/flat":   {mailbox.ErrExist, "Can't create mailbox dual/flat: mailbox already exists"},
		"dual/flat/x": {mailbox.ErrExist, "Can't create mailbox dual/flat/x: File exists"},
		".mixbox":     {mailbox.ErrName, "Can't create mailbox .mixbox: invalid MIX-format name"},
		"dual/.mix1":  {mailbox.ErrName, "Can't create mailbox dual/.mix1: invalid MIX-format name"},
	} {
		if err := w.Create(ctx, w.name(name)); !errors.Is(err, want.kind) || err.Error() != want.text {
			t.Errorf("%s: got %v, want %v", name, err, want.text)
		}
	}
	for _, name := range []string{"dual/folder", ".mix1/below"} {
		if err := w.Create(ctx, w.name(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.Create(ctx, mailbox.Name{Text: "dir/", Path: filepath.Join(w.home, "dir") + "/"}); err != nil {
		t.Error(err)
	}
	if all, err := os.ReadDir(filepath.Join(w.home, "dir")); err != nil || len(all) > 0 {
		t.Errorf("dir/: got %v, %v, want an empty directory", all, err)
	}
}

// TestCreateOverRemains wants no messages of another mailbox in a new one.
func TestCreateOverRemains(t *testing.T) {
	w := newWorld(t)
	n := w.golden("basic")
	if err := os.Remove(filepath.Join(n.Path, metaName)); err != nil {
		t.Fatal(err)
	}
	before := w.files(n)
	if err := w.Create(ctx, n); !errors.Is(err, mailbox.ErrExist) || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("got %v, want ErrExist", err)
	}
	if fmt.Sprint(w.files(n)) != fmt.Sprint(before) {
		t.Error("files changed")
	}
	if err := os.WriteFile(filepath.Join(n.Path, deletedName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.Create(ctx, n); err != nil {
		t.Errorf("over what a deletion left: %v", err)
	}
	if got := w.open(n, mailbox.ReadOnly).Status().Messages; got != 0 || len(w.files(n)) != 4 {
		t.Errorf("got %d messages, files %v", got, w.files(n))
	}
}

func TestCreateWithKeywords(t *testing.T) {
	w := newWorld(t)
	w.env.Config.Keywords = []string{"One", "Two", "one", "not valid"}
	n := w.name("box")
	if err := w.Create(ctx, n); err != nil {
		t.Fatal(err)
	}
	if got := w.files(n)[metaName]; !strings.HasSuffix(got, "KOne Two\r\n") {
		t.Errorf("got %q", got)
	}
	if got := w.open(n, mailbox.ReadOnly).Status().Keywords; !slices.Equal(got, []string{"One", "Two"}) {
		t.Errorf("got %q", got)
	}
}

func TestDeleteAboveOthers(t *testing.T) {
	w := newWorld(t)
	n := w.golden("dual")
	child := w.open(w.name("dual/child"), mailbox.ReadWrite)
	if err := w.Delete(ctx, n); err != nil {
		t.Fatal(err)
	}
	if want := []string{"Can't delete name dual: Directory not empty"}; !slices.Equal(w.heard, want) {
		t.Errorf("said %q, want %q", w.heard, want)
	}
	if ok, _ := w.Probe(n); ok || len(w.files(n)) != 1 { // the file "flat"
		t.Errorf("it is there: %v", w.files(n))
	}
	if child.Status().Messages != 1 || observe(t, child, mailbox.Message{Seq: 1, Size: child.view[0].size}).SHA256 == nil {
		t.Error("the mailbox below is gone")
	}
}

func TestRenameRefused(t *testing.T) {
	w := newWorld(t)
	n := w.golden("basic")
	w.golden("dual")
	for to, want := range map[string]string{
		"dual":        "Can't rename to mailbox dual: destination already exists",
		"dual/folder": "Can't rename to mailbox dual/folder: destination already exists",
		".mixx":       "Can't rename to mailbox .mixx: invalid MIX-format name",
	} {
		if err := w.Rename(ctx, n, w.name(to)); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	mb := w.open(n, mailbox.ReadOnly)
	if err := w.Rename(ctx, n, w.name("x")); err == nil || err.Error() != "Can't lock mailbox for rename: basic" {
		t.Errorf("got %v", err)
	}
	if err := w.Delete(ctx, n); err == nil || err.Error() != "Can't lock mailbox for delete: basic" {
		t.Errorf("got %v", err)
	}
	mb.Close()
}

func TestInbox(t *testing.T) {
	inbox := mailbox.Name{Text: "INBOX", Inbox: true}
	for _, children := range []bool{false, true} {
		w := newWorld(t)
		if err := w.Create(ctx, inbox); err != nil {
			t.Fatal(err)
		}
		if err := deliver(w, inbox, mailbox.AppendOptions{}, twoItems()...); err != nil {
			t.Fatal(err)
		}
		if children {
			if err := w.Create(ctx, w.name("INBOX/child")); err != nil {
				t.Fatal(err)
			}
		}
		validity := w.open(inbox, mailbox.ReadOnly)
		want := validity.Status().UIDValidity
		validity.Close()
		if err := w.Rename(ctx, inbox, w.name("d/old")); err != nil {
			t.Fatal(err)
		}
		if st := w.open(w.name("d/old"), mailbox.ReadOnly).Status(); st.Messages != 2 || st.UIDValidity != want {
			t.Errorf("renamed: got %+v", st)
		}
		if st := w.open(inbox, mailbox.ReadOnly).Status(); st.Messages != 0 {
			t.Errorf("INBOX: got %+v", st)
		}
		if ok, _ := w.Probe(w.name("INBOX/child")); ok != children {
			t.Errorf("child: got %v, want %v", ok, children)
		}
	}
}

// TestTornAppend wants what a killed append of the original left out of the
// way, and kept.
func TestTornAppend(t *testing.T) {
	w := newWorld(t)
	n := w.golden("basic")
	data := filepath.Join(n.Path, ".mix6b03b909")
	f, err := os.OpenFile(data, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	torn := ":msg:00000007:20240102030405+0100:0000009d:\r\nFrom: torn"
	if _, err := f.WriteString(torn); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := deliver(w, n, mailbox.AppendOptions{}, item("Subject: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := session(w, n, nothing); err != nil {
		t.Fatal(err)
	}
	files := w.files(n)
	if files[lostName] != torn || len(w.heard) != 1 {
		t.Errorf("lost: got %q, said %q", files[lostName], w.heard)
	}
	for name, text := range files {
		if name != lostName && strings.Contains(text, "torn") {
			t.Errorf("%s still has it", name)
		}
	}
	if got := w.open(n, mailbox.ReadOnly).Status().Messages; got != 7 {
		t.Errorf("got %d messages, want 7", got)
	}
}

// TestDoubtful wants a message of which nobody can tell whether it was expunged
// to be saved before a change makes that certain.
func TestDoubtful(t *testing.T) {
	for name, do := range map[string]func(w *world, n mailbox.Name) error{
		"open": func(w *world, n mailbox.Name) error { return session(w, n, nothing) },
		"append": func(w *world, n mailbox.Name) error {
			return deliver(w, n, mailbox.AppendOptions{}, item("x: y\r\n\r\n"))
		},
		"shared": shared(expunge(1)),
	} {
		w := newWorld(t)
		n := w.golden("crash-meta")
		if err := do(w, n); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if lost := w.files(n)[lostName]; !strings.HasPrefix(lost, ":msg:00000007:") || len(lost) != 202 {
			t.Errorf("%s: lost: got %q", name, lost)
		}
	}
}

// TestSharedExpunge wants messages that another session shows to stay readable.
func TestSharedExpunge(t *testing.T) {
	w := newWorld(t)
	n := w.golden("basic")
	a, b := w.open(n, mailbox.ReadWrite), w.open(n, mailbox.ReadWrite)
	if gone, err := a.Expunge(mailbox.Range(2, 5)); gone != 4 || err != nil {
		t.Fatalf("got %d, %v", gone, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	// Now b is alone: what it expunges is moved away, what it shows stays.
	if gone, err := b.Expunge(mailbox.Range(1, 2)); gone != 1 || err != nil {
		t.Fatalf("got %d, %v", gone, err)
	}
	for m := range b.Messages(mailbox.All) {
		if g := observe(t, b, m); g.SHA256 == nil {
			t.Errorf("message %d of UID %d cannot be read any more", m.Seq, m.UID)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if st := w.open(n, mailbox.ReadWrite).Status(); st.Messages != 1 || st.UIDNext != 7 {
		t.Errorf("got %+v", st)
	}
	if _, all := w.inspectAll(n); strings.Contains(codes(all), "@0") || strings.Contains(codes(all), "expunged") {
		t.Errorf("found %v", all)
	}
}

func TestWitness(t *testing.T) {
	w := newWorld(t)
	n := w.golden("rolled")
	for _, order := range [][]uint32{{1, 2}, {2, 1}, {2}, {}, {1, 1, 2, 2}} {
		b := w.open(n, mailbox.ReadOnly)
		b.Witness()
		for _, seq := range order {
			c, err := b.Open(seq)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 7)); err != nil {
				t.Fatal(err)
			}
		}
		got, err := b.Witnessed()
		if err != nil {
			t.Fatal(err)
		}
		want, err := b.Prove()
		if err != nil || got.Digest != want.Digest || got.Size != want.Size || want.Size != 157+350 || want.Now != want.Size {
			t.Errorf("order %v: got %+v, want %+v, %v", order, got, want, err)
		}
		b.Close()
	}
	b := w.open(n, mailbox.ReadOnly)
	was, err := b.Prove()
	if err != nil {
		t.Fatal(err)
	}
	if err := deliver(w, n, mailbox.AppendOptions{}, item("Subject: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if now, err := b.Prove(); err != nil || now.Digest != was.Digest || now.Now != was.Size+14 {
		t.Errorf("mail came: got %+v, %v, was %+v", now, err, was)
	}
	path := filepath.Join(n.Path, ".mix6b03b90b")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[100] ^= 1
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	b.data.close()
	if now, err := b.Prove(); err != nil || now.Digest == was.Digest {
		t.Errorf("an octet changed: got %+v, %v", now, err)
	}
}

// TestReadOnlyFiles wants a mailbox that may not be written to be opened
// read-only, and to take no mail.
func TestReadOnlyFiles(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write to everything")
	}
	w := newWorld(t)
	n := w.golden("basic")
	if err := os.Chmod(filepath.Join(n.Path, metaName), 0o400); err != nil {
		t.Fatal(err)
	}
	if st := w.open(n, mailbox.ReadWrite).Status(); !st.ReadOnly {
		t.Errorf("got %+v", st)
	}
	if err := deliver(w, n, mailbox.AppendOptions{}, item("x: y\r\n\r\n")); !errors.Is(err, mailbox.ErrReadOnly) {
		t.Errorf("append: got %v", err)
	}
}

// TestUIDsEnd wants no UID twice when there are none left.
func TestUIDsEnd(t *testing.T) {
	w := newWorld(t)
	n := w.golden("basic")
	path := filepath.Join(n.Path, metaName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), "L00000006", "Lfffffffe", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := deliver(w, n, mailbox.AppendOptions{}, item("x: y\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := deliver(w, n, mailbox.AppendOptions{}, item("x: y\r\n\r\n")); !errors.Is(err, mailbox.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
	if got := w.open(n, mailbox.ReadOnly).Status().Messages; got != 7 {
		t.Errorf("got %d messages, want 7", got)
	}
}
