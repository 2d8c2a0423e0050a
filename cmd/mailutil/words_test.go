package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

func boxError(name string, err error) error {
	return &mailbox.Error{Op: "open", Name: name, Off: -1, Err: err}
}

func TestSentence(t *testing.T) {
	said := mailbox.Sayf(mailbox.ErrReadOnly, "Can't open append mailbox: Permission denied")
	for _, tt := range []struct {
		op   operation
		name string
		err  error
		want string
	}{
		{opStatus, "x", boxError("x", mailbox.ErrNotExist), "Can't get status of mailbox x: no such mailbox"},
		{opStatus, "d", boxError("d", mailbox.ErrNotMailbox), "warning: Can't open d: not a selectable mailbox"},
		{opOpen, "x", boxError("x", mailbox.ErrNotExist), "Can't open mailbox x: no such mailbox"},
		{opOpen, "d", boxError("d", mailbox.ErrNotMailbox), "Can't open d: not a selectable mailbox"},
		{opAppend, "x", boxError("x", mailbox.ErrNotExist), "Can't append to mailbox x: no such mailbox"},
		{opAppend, "d", boxError("d", mailbox.ErrNotMailbox), "Indeterminate mailbox format: d"},
		{opAppend, "", boxError("", mailbox.ErrName), "Can't append to mailbox : no such mailbox"},
		{opAppend, "#driver.x/y", boxError("#driver.x/y", mailbox.ErrUnknownDriver), "Can't append to mailbox #driver.x/y: unknown driver"},
		{opAppend, "a\nb", boxError("a\nb", mailbox.ErrLineBreak), "Can't append to mailbox with such a name"},
		{opCreate, "a\nb", boxError("a\nb", mailbox.ErrLineBreak), "Can't create mailbox with such a name"},
		{opCreate, "#driver.mbx/", boxError("", mailbox.ErrName), "Can't create : invalid name"},
		{opCreate, "#driver.unix", boxError("#driver.unix", mailbox.ErrDriverSyntax), "Can't create mailbox #driver.unix: bad driver syntax"},
		{opCreate, "a&b", boxError("a&b", mailbox.ErrOpenUTF7), "Can't create unterminated modified UTF-7 name: a&b"},
		{opCreate, "&AO.-", boxError("&AO.-", mailbox.ErrBadUTF7), "Can't create invalid modified UTF-7 name: &AO.-"},
		{opCreate, "a\xe9b", boxError("a\xe9b", mailbox.ErrEightBit), "Can't create mailbox name with 8-bit octet: a\xe9b"},
		{opDelete, "x", boxError("x", mailbox.ErrNotExist), "Can't delete mailbox x: no such mailbox"},
		{opDelete, "d", boxError("d", syscall.ENOTEMPTY), "Can't delete mailbox d: Directory not empty"},
		{opRename, "x", boxError("x", mailbox.ErrNotExist), "Can't rename mailbox x: no such mailbox"},
		{opRename, "kw to nd/", boxError("nd/", mailbox.ErrName), "Can't rename mailbox kw to nd/: invalid name"},
		{opRename, "kw to a&b", boxError("a&b", mailbox.ErrOpenUTF7), "Can't rename to unterminated modified UTF-7 name: a&b"},
		{
			opRename, "INBOX to old", boxError("INBOX", &fs.PathError{Op: "rename", Path: "/x", Err: syscall.EXDEV}),
			"Can't rename mailbox INBOX to old: Invalid cross-device link",
		},
		{opOpen, "x", &mailbox.Error{Off: 17, Err: mailbox.ErrCorrupt}, "Can't open mailbox x: octet 17: mailbox is damaged"},
		{opAppend, "x", said, "Can't open append mailbox: Permission denied"},
		{opAppend, "x", fmt.Errorf("message 3: %w", said), "mailutil: message 3: Can't open append mailbox: Permission denied"},
		{opOpen, "x", errors.New("f:2: keywords: no value"), "mailutil: f:2: keywords: no value"},
	} {
		if got := sentence(tt.op, tt.name, tt.err); got != tt.want {
			t.Errorf("%v\n got %s\nwant %s", tt.err, got, tt.want)
		}
	}
}

func TestFailSaysEachErrorOnce(t *testing.T) {
	var stderr bytes.Buffer
	env := &mailbox.Env{Home: "/nonexistent", Config: mailbox.DefaultConfig()}
	c := &cli{err: &stderr, session: ops.Session{Env: env}}
	unproven := fmt.Errorf("%w: %w; nothing was deleted", ops.ErrUnproven, mailbox.ErrChanged)
	c.fail(opOpen, "x", errors.Join(unproven, errors.Join(context.Canceled, boxError("x", mailbox.ErrNotExist))))
	want := "mailutil: interrupted\n" +
		"mailutil: copy could not be proven: mailbox changed while in use; nothing was deleted\n" +
		"Can't open mailbox x: no such mailbox\n"
	if got := stderr.String(); got != want {
		t.Errorf("got %swant %s", got, want)
	}
}

func TestReportedWords(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{checked(mailbox.Status{Recent: 1, Unseen: 2, Messages: 3}, "src"), "1 new message(s) (2 unseen), 3 total in src"},
		{checked(mailbox.Status{Unseen: 2, Messages: 3}, "src"), "0 new message(s) (2 unseen), 3 total in src"},
		{checked(mailbox.Status{Messages: 3}, "src"), "No new messages, 3 total in src"},
		{copying("/home/a/src", 3, "d"), "/home/a/src [3 message(s)] => d"},
		{copying("INBOX", 0, "d"), "INBOX [empty] => d"},
		{copied(3), "[Ok 3 messages(s)]"},
		{purged(ops.Pruned{Found: 3, Matched: 1, Gone: 2}), "2 message(s) purged"},
		{purged(ops.Pruned{Found: 3, Matched: 1}), "0 message(s) purged"},
		{purged(ops.Pruned{Found: 3}), "No matching messages, so nothing purged"},
		{notice(mailbox.Info, "Expunged 3 messages"), "[Expunged 3 messages]"},
		{notice(mailbox.Warn, "Unknown flag: x"), "warning: Unknown flag: x"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}

func TestWithout(t *testing.T) {
	full := errors.New("disk full")
	if got := without(errors.Join(boxError("x", mailbox.ErrReadOnly), full), mailbox.ErrReadOnly); !errors.Is(got, full) || errors.Is(got, mailbox.ErrReadOnly) {
		t.Errorf("got %v, want %v alone", got, full)
	}
	if got := without(boxError("x", mailbox.ErrReadOnly), mailbox.ErrReadOnly); got != nil {
		t.Errorf("got %v, want nothing", got)
	}
}
