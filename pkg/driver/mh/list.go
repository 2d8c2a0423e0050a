package mh

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/mailbox"
)

// maxLevel is how deep mailboxes are looked for.
const maxLevel = 20

// List yields the directories below that of all mh mailboxes, as #mh/name, and
// #mhinbox, where their names begin with the text of prefix. Symbolic links are
// not followed: the list would have no end.
func (d *Driver) List(ctx context.Context, prefix mailbox.Name) iter.Seq2[mailbox.Entry, error] {
	return func(yield func(mailbox.Entry, error) bool) {
		root, err := d.root()
		if root == "" || err != nil {
			if err != nil {
				yield(mailbox.Entry{}, d.fail("list", prefix, err))
			} else {
				d.warn()
			}
			return
		}
		l := lister{ctx: ctx, root: root, prefix: prefix.Text, yield: yield}
		if err := l.below("", 0); err != nil && !errors.Is(err, errStop) {
			yield(mailbox.Entry{}, d.fail("list", prefix, err))
			return
		} else if err != nil {
			return
		}
		fi, err := d.FS.Stat(filepath.Join(root, inboxDir))
		if err == nil && fi.IsDir() && begins("#mhinbox", prefix.Text) {
			yield(mailbox.Entry{Name: "#mhinbox", Selectable: true}, nil)
		}
	}
}

// begins reports whether a name begins with a prefix, whose namespace may be in
// any case.
func begins(name, prefix string) bool {
	const space = "#mh/"
	if len(prefix) > len(space) && strings.EqualFold(prefix[:len(space)], space) {
		return strings.HasPrefix(name, space+prefix[len(space):])
	}
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// leads reports whether what is below the mailbox dir may begin with prefix.
func leads(prefix, dir string) bool {
	return len(prefix) >= len(dir) && begins(dir, prefix[:len(dir)])
}

// errStop ends a list that nobody wants to go on.
var errStop = errors.New("stop")

type lister struct {
	ctx    context.Context
	root   string
	prefix string
	yield  func(mailbox.Entry, error) bool
}

// below lists what is below a mailbox, in the order of names.
func (l *lister) below(at string, level int) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(l.root, at))
	if node.Gone(err) || errors.Is(err, fs.ErrPermission) && level > 0 {
		return nil // gone meanwhile, or not for us
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || numbered.AllDigits(name) || name[0] == '.' || name[0] == ',' {
			continue
		}
		path := strings.TrimPrefix(at+"/"+name, "/")
		full := "#mh/" + path
		if begins(full, l.prefix) && !l.yield(mailbox.Entry{Name: full, Delimiter: '/', Selectable: true}, nil) {
			return errStop
		}
		if level < maxLevel && (begins(full, l.prefix) || leads(l.prefix, full+"/")) {
			if err := l.below(path, level+1); err != nil {
				return err
			}
		}
	}
	return nil
}
