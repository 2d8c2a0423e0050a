package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// With --json each line of output is one object. Its first field, type, says
// what it is; the manual page mailutil-json(5) has all fields. Results go to
// standard output, errors and progress to standard error, as without --json.

// The types of lines.
const (
	typeMessage  = "message"  // one message of a mailbox
	typeFinding  = "finding"  // something odd in a mailbox
	typeLock     = "lock"     // a lock that somebody has on a mailbox
	typeProgress = "progress" // how far the work is
	typeStep     = "step"     // one thing that a repair does
	typeSummary  = "summary"  // what came of a command
	typeError    = "error"    // what went wrong, or may matter
)

// A record is a line: a struct with json tags, all names in snake case.
type record interface{ recordType() string }

// encode writes one line. Octets that are not UTF-8 become U+FFFD.
func encode(w io.Writer, r record) error {
	var line bytes.Buffer
	fmt.Fprintf(&line, `{"type":%q`, r.recordType())
	start := line.Len()
	fields := json.NewEncoder(&line)
	fields.SetEscapeHTML(false)
	if err := fields.Encode(r); err != nil {
		return err
	}
	b := line.Bytes()
	if b[start+1] == '}' { // no fields
		b = slices.Delete(b, start, start+1)
	} else {
		b[start] = ','
	}
	_, err := w.Write(b)
	return err
}

// emit writes a result to standard output.
func (c *cli) emit(r record) { c.wrote(encode(c.out, r)) }

// An errorRecord is what is said on standard error.
type errorRecord struct {
	Severity string `json:"severity"` // error, warning or info
	Message  string `json:"message"`  // the sentence that is printed without --json
	Code     string `json:"code,omitempty"`
	Mailbox  string `json:"mailbox,omitempty"`
	Offset   *int64 `json:"offset,omitempty"` // octet in the file of the mailbox
}

func (errorRecord) recordType() string { return typeError }

// errorCodes name the kinds of errors, the particular ones first.
var errorCodes = []struct {
	kind error
	code string
}{
	{context.Canceled, "interrupted"},
	{ops.ErrUnproven, "unproven"},
	{mailbox.ErrNotExist, "not_exist"},
	{mailbox.ErrExist, "exist"},
	{mailbox.ErrBusy, "busy"},
	{mailbox.ErrReadOnly, "read_only"},
	{mailbox.ErrNotMailbox, "not_mailbox"},
	{mailbox.ErrCorrupt, "corrupt"},
	{mailbox.ErrFormat, "format"},
	{mailbox.ErrName, "name"},
	{mailbox.ErrOverQuota, "over_quota"},
	{mailbox.ErrUnsupported, "unsupported"},
	{mailbox.ErrChanged, "changed"},
	{mailbox.ErrTemporary, "temporary"},
}

const (
	codeUsage = "usage" // a wrong command line
	codeOther = "other"
)

// errorCode is the stable name of an error's kind.
func errorCode(err error) string {
	if errors.As(err, new(usageError)) {
		return codeUsage
	}
	for _, e := range errorCodes {
		if errors.Is(err, e.kind) {
			return e.code
		}
	}
	return codeOther
}

// newErrorRecord describes err, which was said with the sentence.
func newErrorRecord(sentence, name string, err error) errorRecord {
	r := errorRecord{Severity: "error", Message: sentence, Code: errorCode(err), Mailbox: name}
	var e *mailbox.Error
	if errors.As(err, &e) && e.Off >= 0 {
		r.Offset = &e.Off
	}
	return r
}

// jsonDate writes a date as RFC 3339 does, with its own zone, and with days and
// seconds that do not exist, such as 31 February, as they are; "" for none.
func jsonDate(d mailbox.Date) string {
	if d.IsZero() {
		return ""
	}
	zone, sign := int(d.Zone), '+'
	if zone < 0 || d.MinusZero {
		zone, sign = -zone, '-'
	}
	return fmt.Sprintf("%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d",
		d.Year, d.Month, d.Day, d.Hour, d.Minute, d.Second, sign, zone/60, zone%60)
}

// asksJSON reports whether the command line has --json, even where the rest of
// it cannot be understood.
func asksJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.ContainsFunc(args, func(a string) bool {
		return a == "--json" || strings.HasPrefix(a, "--json=") && a != "--json=false"
	})
}
