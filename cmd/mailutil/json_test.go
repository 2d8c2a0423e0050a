package main

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

type bare struct{}

func (bare) recordType() string { return typeFinding }

func TestEncode(t *testing.T) {
	off := int64(0)
	for _, tt := range []struct {
		in   record
		want string
	}{
		{bare{}, `{"type":"finding"}`},
		{errorRecord{Severity: "info", Message: `a<"b"&` + "\n\xe9"}, `{"type":"error","severity":"info","message":"a<\"b\"&\n\ufffd"}`},
		{errorRecord{Offset: &off}, `{"type":"error","severity":"","message":"","offset":0}`},
	} {
		var got bytes.Buffer
		if err := encode(&got, tt.in); err != nil || got.String() != tt.want+"\n" {
			t.Errorf("got %s%v\nwant %s", got.String(), err, tt.want)
		}
	}
}

func TestErrorCode(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{usageError("x"), codeUsage},
		{errors.New("x"), codeOther},
		{fmt.Errorf("message 3: %w", boxError("x", mailbox.ErrOverQuota)), "over_quota"},
		{fmt.Errorf("%w: %w", ops.ErrUnproven, mailbox.ErrChanged), "unproven"},
	} {
		if got := errorCode(tt.err); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.err, got, tt.want)
		}
	}
}

func TestErrorRecordHasTheOffset(t *testing.T) {
	r := newErrorRecord("s", "x", &mailbox.Error{Off: 17, Err: mailbox.ErrCorrupt})
	if r.Offset == nil || *r.Offset != 17 || r.Code != "corrupt" {
		t.Errorf("got %+v", r)
	}
	if r := newErrorRecord("s", "x", boxError("x", mailbox.ErrBusy)); r.Offset != nil {
		t.Errorf("an offset of nothing: %d", *r.Offset)
	}
}

func TestJSONDate(t *testing.T) {
	for _, tt := range []struct {
		in   mailbox.Date
		want string
	}{
		{mailbox.Date{}, ""},
		{mailbox.Date{Year: 2024, Month: 2, Day: 31, Second: 60, Zone: 330}, "2024-02-31T00:00:60+05:30"},
		{mailbox.Date{Year: 1999, Month: 12, Day: 1, Hour: 9, MinusZero: true}, "1999-12-01T09:00:00-00:00"},
		{mailbox.Date{Year: 1999, Month: 12, Day: 1, Zone: -30}, "1999-12-01T00:00:00-00:30"},
	} {
		if got := jsonDate(tt.in); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestAsksJSON(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want bool
	}{
		{[]string{"check", "--json"}, true},
		{[]string{"--json=true", "-foo"}, true},
		{[]string{"--json=false"}, false},
		{[]string{"check", "--", "--json"}, false},
		{nil, false},
	} {
		if got := asksJSON(tt.args); got != tt.want {
			t.Errorf("%q: got %v", tt.args, got)
		}
	}
}
