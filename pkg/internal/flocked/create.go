package flocked

import (
	"context"
	"errors"
	"strings"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/mailbox"
)

// CreateNew begins the file of a new mailbox at path.
func (o Files) CreateNew(ctx context.Context, path string) (*fsx.NewFile, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if strings.HasSuffix(path, "/") {
		return nil, mailbox.ErrName
	}
	f, err := fsx.CreateNew(o.FS, path, o.Env.Config.MailboxMode, o.Env.Config.DirMode)
	if err != nil && !errors.Is(err, fsx.ErrInUse) {
		err = mailbox.Sayf(Classify(err), "Can't create mailbox node %s: %s", path, node.Reason(err))
	}
	return f, err
}

// Delete removes n, the mailbox at path. Nobody else may have it open. ours sees
// that it is of the format.
func (o Files) Delete(ctx context.Context, n mailbox.Name, path string, ours func(fsx.File) error) error {
	return o.Alone(ctx, n, path, func(f fsx.File) error {
		if err := ours(f); err != nil {
			return err
		}
		return node.Delete(o.FS, n, path)
	})
}

// Rename gives from, the mailbox at path, the name to, of which the Path is set.
// Nobody else may have it open. ours sees that it is of the format.
func (o Files) Rename(ctx context.Context, from, to mailbox.Name, path string, ours func(fsx.File) error) error {
	return o.Alone(ctx, from, path, func(f fsx.File) error {
		if err := ours(f); err != nil {
			return err
		}
		return node.Rename(o.FS, from, to, path, o.Env.Config)
	})
}

// A NewDelivery fills a mailbox that nobody sees before Commit.
type NewDelivery struct {
	Files  Files
	Name   mailbox.Name
	File   *fsx.NewFile
	Out    *fsx.Writer // into File
	Record *Recorder   // into Out

	// Finish writes what comes last, and tells the UIDs of the messages; it may
	// be nil.
	Finish func() (mailbox.UIDs, error)
}

// Add adds a message.
func (t *NewDelivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	a, err := t.Record.Add(it)
	return a, t.Files.Fail("append", t.Name, err)
}

// Commit makes the mailbox appear.
func (t *NewDelivery) Commit() (uids mailbox.UIDs, err error) {
	if err = t.Record.Broken; err == nil {
		err = t.Out.Flush()
	}
	if err == nil && t.Finish != nil {
		uids, err = t.Finish()
	}
	if err == nil {
		err = t.File.Publish()
	}
	t.Out.Stop()
	if err = errors.Join(err, t.File.Abort()); err != nil {
		return mailbox.UIDs{}, t.Files.Fail("append", t.Name, err)
	}
	return uids, nil
}

// Abort removes what was written.
func (t *NewDelivery) Abort() error {
	t.Out.Stop()
	return t.Files.Fail("append", t.Name, t.File.Abort())
}
