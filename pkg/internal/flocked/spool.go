package flocked

import (
	"context"
	"os"

	"mailutil/pkg/internal/node"
	"mailutil/pkg/mailbox"
)

// OpenSpool opens the system INBOX, which spool reads, to move new mail from it
// to the file inbox; nil where there is none, or inbox is it.
func (o Files) OpenSpool(ctx context.Context, spool mailbox.Driver, inbox string, m mailbox.Mode) (mailbox.Mailbox, error) {
	n := mailbox.Name{Text: o.Env.Spool, Path: o.Env.Spool}
	fi, err := o.FS.Stat(n.Path)
	if node.Gone(err) || err == nil && fi.Size() == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if mine, err := o.FS.Stat(inbox); err != nil || os.SameFile(mine, fi) {
		return nil, err
	}
	if ok, err := spool.Probe(n); !ok || err != nil {
		return nil, err
	}
	return spool.Open(ctx, n, m)
}

// AddSpool adds what waits in the spool to the Status of INBOX.
func (o Files) AddSpool(ctx context.Context, spool mailbox.Driver, inbox string, st *mailbox.Status) error {
	if spool == nil {
		return nil
	}
	mb, err := o.OpenSpool(ctx, spool, inbox, mailbox.ReadOnly)
	if err != nil || mb == nil {
		return err
	}
	more := mb.Status()
	st.Messages += more.Messages
	st.Recent += more.Recent
	st.Unseen += more.Unseen
	st.UIDNext += more.Messages
	return mb.Close()
}
