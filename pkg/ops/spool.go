package ops

import (
	"context"
	"fmt"
	"os"

	"mailutil/pkg/mailbox"
)

// hidesSpool is the format of which an INBOX does not take in what is in the system
// mailbox, as it was in the original.
const hidesSpool = "mx"

// tellSpool says, once an INBOX was made in a format that is a directory, what
// becomes of the mail in the system mailbox, or that INBOX is another mailbox all
// the same.
func (s *Session) tellSpool(ctx context.Context, n mailbox.Name) {
	if !n.Inbox {
		return
	}
	made, err := s.newFormat(n)
	if _, ok := made.(mailbox.Parent); !ok || err != nil {
		return
	}
	inbox := mailbox.Name{Text: "INBOX", Inbox: true}
	d, err := s.Drivers.Find(inbox)
	if err != nil {
		return
	}
	if d.Name() != made.Name() {
		s.warnf("INBOX is still %s, which comes before the new one in %s format", placeOf(d, inbox), made.Name())
		return
	}
	switch octets := s.octetsInSpool(ctx); {
	case octets == 0:
	case made.Name() == hidesSpool:
		s.warnf("%d octets of mail in %s are not seen in the new INBOX: mailutil appenddelete %s INBOX moves them", octets, s.Env.Spool, s.Env.Spool)
	default:
		s.warnf("%d octets of mail in %s are moved into the new INBOX when it is opened for writing", octets, s.Env.Spool)
	}
}

func (s *Session) warnf(format string, args ...any) {
	s.Env.Notify(mailbox.Warn, fmt.Sprintf(format, args...))
}

// octetsInSpool is the size of the system mailbox, 0 where it has no messages or
// cannot be read.
func (s *Session) octetsInSpool(ctx context.Context) int64 {
	fi, err := os.Stat(s.Env.Spool)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() == 0 {
		return 0
	}
	mb, err := s.Drivers.Open(ctx, mailbox.Name{Text: s.Env.Spool, Path: s.Env.Spool}, mailbox.ReadOnly)
	if err != nil {
		return 0
	}
	defer mb.Close() // only read
	if mb.Status().Messages == 0 {
		return 0
	}
	return fi.Size()
}

// placeOf is where a driver keeps a mailbox, as a path.
func placeOf(d mailbox.Driver, n mailbox.Name) string {
	if p, ok := d.(mailbox.Placer); ok {
		if path, err := p.Place(n); err == nil && path != "" {
			return path
		}
	}
	return n.Text
}
