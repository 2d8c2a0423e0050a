package news

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/mailbox"
)

// prefix begins the names of groups, in this case only.
const prefix = "#news."

// Driver is the local news spool. Its fields may be set before first use.
type Driver struct {
	FS fsx.FS // the file calls of writers

	env *mailbox.Env
}

var (
	_ mailbox.Driver = (*Driver)(nil)
	_ mailbox.Lister = (*Driver)(nil)
)

// New returns the driver.
func New(env *mailbox.Env) *Driver { return &Driver{FS: fsx.OS{}, env: env} }

// Name returns "news".
func (d *Driver) Name() string { return "news" }

func (d *Driver) fail(op string, n mailbox.Name, err error) error {
	return flocked.Files{FS: d.FS, Env: d.env, Format: d.Name()}.Fail(op, n, err)
}

// group returns the group that n names, "" where it can be none.
func (d *Driver) group(n mailbox.Name) string {
	group, ok := strings.CutPrefix(n.Text, prefix)
	if n.Space != d.Name() || !ok || strings.Contains(group, "/") || strings.Contains("."+group+".", "..") {
		return ""
	}
	return group
}

// spool is the directory of a group.
func (d *Driver) spool(group string) string {
	return filepath.Join(d.env.Config.NewsSpool, strings.ReplaceAll(group, ".", "/"))
}

// Probe reports whether n is a group that is active and has a directory.
func (d *Driver) Probe(n mailbox.Name) (bool, error) {
	group := d.group(n)
	if group == "" {
		return false, nil
	}
	fi, err := d.FS.Stat(d.spool(group))
	if node.Gone(err) || err == nil && !fi.IsDir() {
		return false, nil
	}
	if err != nil {
		return false, d.fail("open", n, err)
	}
	found := false
	err = d.active(func(name string) bool {
		found = name == group
		return !found
	})
	return found, d.fail("open", n, err)
}

// active calls f for the groups of the active file, until it returns false.
// Where there is no such file there are no groups.
func (d *Driver) active(f func(group string) bool) error {
	file, err := os.Open(d.env.Config.NewsActive)
	if node.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close() // read only
	return readActive(file, f)
}

// readActive reads an active file. A line too long for a name of a mailbox is
// passed over.
func readActive(r io.Reader, f func(group string) bool) error {
	lines := bufio.NewReaderSize(r, 4096)
	for whole := true; ; {
		line, err := lines.ReadSlice('\n')
		begins := whole
		whole = !errors.Is(err, bufio.ErrBufferFull)
		if group, _, ok := strings.Cut(string(line), " "); begins && ok && group != "" && !f(group) {
			return nil
		}
		if err == io.EOF {
			return nil
		}
		if err != nil && whole {
			return err
		}
	}
}

// List yields the active groups whose names begin with the text of prefix.
func (d *Driver) List(ctx context.Context, begin mailbox.Name) iter.Seq2[mailbox.Entry, error] {
	return func(yield func(mailbox.Entry, error) bool) {
		var groups []string
		err := d.active(func(group string) bool {
			if strings.HasPrefix(prefix+group, begin.Text) {
				groups = append(groups, group)
			}
			return ctx.Err() == nil
		})
		if err = errors.Join(err, ctx.Err()); err != nil {
			yield(mailbox.Entry{}, d.fail("list", begin, err))
			return
		}
		slices.Sort(groups)
		for _, group := range slices.Compact(groups) {
			fi, err := d.FS.Stat(d.spool(group))
			if err != nil || !fi.IsDir() {
				continue // nothing was ever posted
			}
			if !yield(mailbox.Entry{Name: prefix + group, Delimiter: '.', Selectable: true}, nil) {
				return
			}
		}
	}
}

// Open opens a group. The mailbox is read-only in either mode, but that with
// ReadWrite Seen can be stored.
func (d *Driver) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	if err := ctx.Err(); err != nil {
		return nil, d.fail("open", n, err)
	}
	ok, err := d.Probe(n)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, d.fail("open", n, mailbox.ErrNotExist)
	}
	b := &box{d: d, ctx: ctx, name: n, group: d.group(n), writes: m == mailbox.ReadWrite}
	b.texts = numbered.Texts{Dir: numbered.Dir{FS: d.FS, Path: d.spool(b.group)}, CRLF: true, At: b.number}
	if err := b.look(true); err != nil {
		return nil, d.fail("open", n, err)
	}
	return b, nil
}
