package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// A row is a message to be shown.
type row struct {
	mailbox string // as the user wrote it
	status  *mailbox.Status
	ops.Entry
	headers []string // the names of the fields in Entry.Header
}

// header returns a field of the header, which was asked for.
func (r *row) header(name string) string {
	if i := slices.Index(r.headers, name); i >= 0 && i < len(r.Header) {
		return r.Header[i]
	}
	return ""
}

// flags are the system flags, without a backslash.
func (r *row) flags() []string {
	names := mailbox.Flags{System: r.Flags.System}.Names(nil)
	for i := range names {
		names[i] = names[i][1:]
	}
	return names
}

func (r *row) keywords() []string {
	return mailbox.Flags{Keywords: r.Flags.Keywords}.Names(r.status.Keywords)
}

// A field is what --fields can ask for.
type field struct {
	name   string // with --fields, and in JSON
	header string // the header field that it shows, "" for none

	value func(r *row) any            // for JSON
	text  func(r *row) string         // for pipes
	short func(r *row) string         // for people; nil: text
	width func(st mailbox.Status) int // nil for text, which shares what is left
	right bool                        // flush right
}

var (
	textFields  = map[string]string{"from": "From", "to": "To", "cc": "Cc", "subject": "Subject", "sent": "Date", "message-id": "Message-ID"}
	indexFields = []field{
		{
			name:  "mailbox",
			value: func(r *row) any { return r.mailbox },
			text:  func(r *row) string { return r.mailbox },
			width: fixed(16),
		},
		{
			name:  "number",
			value: func(r *row) any { return r.Seq },
			text:  func(r *row) string { return decimal(r.Seq) },
			width: func(st mailbox.Status) int { return max(len(decimal(st.Messages)), len("number")) },
			right: true,
		},
		{
			name:  "uid",
			value: func(r *row) any { return r.UID },
			text:  func(r *row) string { return decimal(r.UID) },
			width: func(st mailbox.Status) int { return max(len(decimal(st.UIDNext)), len("uid")) },
			right: true,
		},
		{
			name:  "date",
			value: func(r *row) any { return jsonDate(r.Date) },
			text:  func(r *row) string { return jsonDate(r.Date) },
			short: func(r *row) string { return minutes(r.Date) },
			width: fixed(len("2024-01-01 10:00")),
		},
		{
			name:  "flags",
			value: func(r *row) any { return list(r.flags()) },
			text:  func(r *row) string { return strings.Join(r.flags(), ",") },
			short: func(r *row) string { return letters(r.Flags.System) },
			width: fixed(len("nuafdt")),
		},
		{
			name:  "keywords",
			value: func(r *row) any { return list(r.keywords()) },
			text:  func(r *row) string { return strings.Join(r.keywords(), ",") },
			width: func(st mailbox.Status) int { return min(12, 12*len(st.Keywords)) }, // none: not shown
		},
		{
			name:  "size",
			value: func(r *row) any { return r.Size },
			text:  func(r *row) string { return strconv.FormatInt(r.Size, 10) },
			short: func(r *row) string { return shortSize(r.Size) },
			width: fixed(5),
			right: true,
		},
	}
)

// fieldNames are all, in the order of the manual page.
var fieldNames = []string{
	"mailbox", "number", "uid", "date", "flags", "keywords", "size",
	"from", "to", "cc", "subject", "sent", "message-id",
}

// fieldNamed finds a field.
func fieldNamed(name string) (field, bool) {
	if i := slices.IndexFunc(indexFields, func(f field) bool { return f.name == name }); i >= 0 {
		return indexFields[i], true
	}
	header, ok := textFields[name]
	get := func(r *row) string { return r.header(header) }
	return field{name: name, header: header, value: func(r *row) any { return get(r) }, text: get}, ok
}

// parseFields reads names between commas.
func parseFields(names string) ([]field, error) {
	var out []field
	for name := range strings.SplitSeq(names, ",") {
		f, ok := fieldNamed(strings.ToLower(strings.TrimSpace(name)))
		if !ok {
			return nil, usageError(fmt.Sprintf("unknown field: %s; fields are %s", name, strings.Join(fieldNames, ", ")))
		}
		out = append(out, f)
	}
	return out, nil
}

// headersOf are the header fields that fields show.
func headersOf(fields []field) (out []string) {
	for _, f := range fields {
		if f.header != "" && !slices.Contains(out, f.header) {
			out = append(out, f.header)
		}
	}
	return out
}

func fixed(n int) func(mailbox.Status) int { return func(mailbox.Status) int { return n } }

func decimal(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// list makes JSON of no names an empty list.
func list(names []string) []string { return append([]string{}, names...) }

// minutes is a date without seconds and zone; "" for none.
func minutes(d mailbox.Date) string {
	if d.IsZero() {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d %02d:%02d", d.Year, d.Month, d.Day, d.Hour, d.Minute)
}

// letters shows flags as ls does modes: recent (n), unseen (u), answered,
// flagged, deleted, draft (t).
func letters(f mailbox.SystemFlags) string {
	b := []byte("------")
	for i, on := range []bool{
		f&mailbox.Recent != 0, f&mailbox.Seen == 0, f&mailbox.Answered != 0,
		f&mailbox.Flagged != 0, f&mailbox.Deleted != 0, f&mailbox.Draft != 0,
	} {
		if on {
			b[i] = "nuafdt"[i]
		}
	}
	return string(b)
}

// shortSize is a number of octets in at most five characters: 17, 1.2k, 310M.
func shortSize(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	v := float64(n)
	for _, unit := range "kMGTP" {
		v /= 1024
		switch {
		case v < 9.95:
			return fmt.Sprintf("%.1f%c", v, unit)
		case v < 999.5:
			return fmt.Sprintf("%.0f%c", v, unit)
		}
	}
	return fmt.Sprintf("%.0fE", v/1024)
}

// A messageRecord is the line of a message: the fields that were asked for.
type messageRecord struct {
	fields []field
	row    *row
}

func (messageRecord) recordType() string { return typeMessage }

// MarshalJSON writes the fields in their order.
func (m messageRecord) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	values := json.NewEncoder(&b)
	values.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, f := range m.fields {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:", strings.ReplaceAll(f.name, "-", "_"))
		if err := values.Encode(f.value(m.row)); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
