package main

import (
	"errors"
	"os"

	"mailutil/pkg/ops"
)

// A reportRecord is one line of --report: a message that was not copied as it
// was, and why.
type reportRecord struct {
	Mailbox string         `json:"mailbox"`
	Seq     uint32         `json:"seq"`
	UID     uint32         `json:"uid"`
	Outcome string         `json:"outcome"` // skipped, altered or differs
	Reason  string         `json:"reason"`
	Altered *alteredFields `json:"altered,omitempty"`
	Differs []string       `json:"differs,omitempty"`
}

func (reportRecord) recordType() string { return typeMessage }

func newReport(source string, e ops.Exception) reportRecord {
	r := reportRecord{Mailbox: source, Seq: e.Seq, UID: e.UID, Differs: e.Differs}
	switch {
	case e.Err != nil:
		r.Outcome, r.Reason = "skipped", cause(e.Err)
	case e.Differs != nil:
		r.Outcome, r.Reason = "differs", otherwise(e.Differs)
	default:
		r.Outcome, r.Reason = "altered", e.Altered.Words()
	}
	if e.Altered.Any() {
		a := newAltered(e.Altered)
		r.Altered = &a
	}
	return r
}

// A report is a file of reportRecords.
type report struct {
	file *os.File
	err  error // the first that writing it met
}

// newReportFile makes the file, empty. It must not be there: a mailbox might be.
func newReportFile(name string) (*report, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return &report{file: f}, err
}

func (r *report) except(source string, e ops.Exception) { r.add(newReport(source, e)) }

// add writes a line.
func (r *report) add(rec record) {
	if err := encode(r.file, rec); r.err == nil {
		r.err = err
	}
}

func (r *report) close() error { return errors.Join(r.err, r.file.Close()) }
