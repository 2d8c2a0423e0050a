package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

var good = ops.Account{Source: "/s", Target: "t", Found: 3, Copied: 3, SourceProven: true}

func TestCopyStatus(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*ops.Account)
		err  error
		want int
	}{
		{"done", func(*ops.Account) {}, nil, exitDone},
		{"altered", func(a *ops.Account) { a.AlteredMessages = 2 }, nil, exitDone},
		{"empty", func(a *ops.Account) { *a = ops.Account{Source: "/s"} }, nil, exitDone},
		{"skipped", func(a *ops.Account) { a.Copied, a.Skipped = 2, 1 }, nil, exitPartly},
		{"grew", func(a *ops.Account) { a.SourceGrew = 80 }, nil, exitPartly},
		{"does not balance", func(a *ops.Account) { a.Copied = 2 }, nil, exitPartly},
		{"failed", func(a *ops.Account) { a.Copied, a.Failed = 0, 3 }, errors.New("disk full"), exitFailed},
		{"move not proven", func(*ops.Account) {}, fmt.Errorf("%w: why", ops.ErrUnproven), exitPartly},
		{"move not expunged", func(*ops.Account) {}, errors.New("disk full"), exitPartly},
		{"move from a read-only source", func(*ops.Account) {}, boxError("s", mailbox.ErrReadOnly), exitFailed},
	} {
		acc := good
		tt.edit(&acc)
		if got := copyStatus(acc, tt.err); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestAccount(t *testing.T) {
	for _, tt := range []struct {
		name string
		opt  options
		edit func(*ops.Account)
		want []string
	}{
		{"all well", options{}, func(*ops.Account) {}, nil},
		{"all well, -v", options{verbose: true}, func(*ops.Account) {}, []string{"3 found = 3 copied + 0 skipped + 0 failed"}},
		{"quiet", options{quiet: true}, func(a *ops.Account) { a.AlteredMessages = 1 }, nil},
		{
			"altered",
			options{},
			func(a *ops.Account) {
				a.AlteredMessages, a.Altered = 1, mailbox.Altered{QuotedFrom: 2}
				a.Exceptions = []ops.Exception{{Seq: 2, Altered: a.Altered}}
			},
			[]string{
				`t cannot hold 1 of the messages as they are: 2 lines beginning "From " quoted with ">"`,
				"3 found = 3 copied + 0 skipped + 0 failed",
			},
		},
		{
			"altered, -v",
			options{verbose: true},
			func(a *ops.Account) {
				a.AlteredMessages, a.Altered = 1, mailbox.Altered{Newlines: 1}
				a.Exceptions = []ops.Exception{{Seq: 2, Altered: a.Altered}}
			},
			[]string{
				"message 2: 1 missing newline added",
				"t cannot hold 1 of the messages as they are: 1 missing newline added",
				"3 found = 3 copied + 0 skipped + 0 failed",
			},
		},
		{
			"skipped",
			options{},
			func(a *ops.Account) {
				a.Copied, a.Skipped = 2, 1
				a.Exceptions = []ops.Exception{{Seq: 3, Err: mailbox.ErrUnsupported}}
			},
			[]string{"message 3 was not copied: not possible in this format", "3 found = 2 copied + 1 skipped + 0 failed"},
		},
		{
			"grew",
			options{},
			func(a *ops.Account) { a.SourceGrew = 80 },
			[]string{"80 octets of new mail arrived in /s meanwhile and were not copied", "3 found = 3 copied + 0 skipped + 0 failed"},
		},
		{
			"not proven",
			options{},
			func(a *ops.Account) { a.SourceProven = false },
			[]string{"it cannot be proven that /s stayed as it was", "3 found = 3 copied + 0 skipped + 0 failed"},
		},
	} {
		var stderr bytes.Buffer
		c := &cli{err: &stderr, opt: tt.opt}
		acc := good
		tt.edit(&acc)
		c.account(acc, nil)
		var want string
		for _, line := range tt.want {
			want += "mailutil: " + line + "\n"
		}
		if got := stderr.String(); got != want {
			t.Errorf("%s:\n got %swant %s", tt.name, got, want)
		}
	}
}

func TestAccountSaysThatTheListIsCut(t *testing.T) {
	var stderr bytes.Buffer
	acc := good
	acc.Exceptions = make([]ops.Exception, ops.MaxExceptions)
	acc.AlteredMessages = 2000
	(&cli{err: &stderr, opt: options{verbose: true}}).account(acc, nil)
	if !strings.Contains(stderr.String(), "only the first 1000 such messages are listed") {
		t.Error("the list ends without a word")
	}
}

// brokenWriter fails as a pipe without a reader does, or as a full disk.
type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestResultsThatCannotBeWritten(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		stderr string
	}{
		{syscall.EPIPE, exitUsage, ""},
		{syscall.ENOSPC, exitUsage, "mailutil: standard output: no space left on device\n"},
	} {
		var stderr bytes.Buffer
		if got := run(t.Context(), []string{"mailutil"}, nil, brokenWriter{tt.err}, &stderr); got != tt.status || stderr.String() != tt.stderr {
			t.Errorf("%v: got status %d, stderr %q", tt.err, got, stderr.String())
		}
	}
	if got := run(t.Context(), []string{"mailutil", "-version"}, nil, brokenWriter{syscall.ENOSPC}, &bytes.Buffer{}); got != exitFailed {
		t.Errorf("a lost result: got status %d", got)
	}
}
