package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

var _ mailbox.Checker = (*Driver)(nil)

// Inspect looks at all that is in a stream. Offsets and lines are those of the
// mbox, as it is when it is unpacked.
func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (_ mailbox.Inspection, err error) {
	b := &box{d: d, name: n, path: n.Path}
	if err := b.openFile(); err != nil {
		return mailbox.Inspection{}, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	l := &looker{b: b, ctx: ctx, report: report, in: mailbox.Inspection{Driver: d.Name(), Path: b.path}}
	b.look = l
	err = b.begin()
	for err == nil && b.ended == nil && !l.Stopped() {
		if l.err = l.lines.Keep(b.ix.End); l.err == nil {
			b.step()
		}
	}
	if b.w != nil {
		l.in.Size = b.ix.End
	}
	l.in.Messages = uint32(len(b.ix.Msgs))
	if err == nil && b.ended != io.EOF {
		err = b.ended
	}
	return l.in, l.end(err)
}

// A looker takes the findings of a check.
type looker struct {
	b      *box
	ctx    context.Context
	report func(mailbox.Finding) error
	in     mailbox.Inspection
	lines  *winread.Lines
	err    error
}

var _ mbox.Reporter = (*looker)(nil)

// begin is called when there is a window.
func (l *looker) begin() *mbox.Check {
	l.lines = winread.NewLines(l.b.w, math.MaxInt64)
	return mbox.Unix.NewCheck(l)
}

// silent is the surroundings of the scanner: all of what it says is reported.
func (l *looker) silent() *mailbox.Env {
	env := *l.b.d.env
	env.Notify = func(mailbox.Level, string) {}
	return &env
}

// end returns the error of an inspection that ended with err: octets that
// cannot be unpacked are a finding.
func (l *looker) end(err error) error {
	var e *mailbox.Error
	if l.err == nil && errors.As(err, &e) && errors.Is(err, mailbox.ErrCorrupt) {
		l.say(mailbox.Finding{
			Code: "stream.packed", Off: -1, Severity: mailbox.Damage,
			Text: fmt.Sprintf("%v, at octet %d of what is compressed: what comes after that cannot be read", e.Err, l.b.size),
		})
		err = nil
	}
	return errors.Join(l.err, err)
}

// ReadAt reads octets of the message that is being looked at.
func (l *looker) ReadAt(p []byte, off int64) (int, error) { return l.b.w.ReadAt(p, off) }

// Damage reports damage at off, in message seq (0 for none).
func (l *looker) Damage(code string, off int64, seq uint32, format string, args ...any) {
	l.say(mailbox.Finding{Code: code, Off: off, Seq: seq, Severity: mailbox.Damage, Text: fmt.Sprintf(format, args...)})
}

// Doubt reports what is strange at off, in message seq (0 for none).
func (l *looker) Doubt(code string, off int64, seq uint32, format string, args ...any) {
	l.say(mailbox.Finding{Code: code, Off: off, Seq: seq, Severity: mailbox.Doubt, Text: fmt.Sprintf(format, args...)})
}

func (l *looker) say(f mailbox.Finding) {
	if l.Stopped() {
		return
	}
	if f.Off >= 0 {
		if f.Line, l.err = l.lines.At(f.Off); l.err != nil {
			return
		}
	}
	l.in.Count(f)
	l.err = l.report(f)
}

// Stopped reports whether there is no use in going on.
func (l *looker) Stopped() bool {
	if l.err == nil {
		l.err = l.ctx.Err()
	}
	return l.err != nil
}
