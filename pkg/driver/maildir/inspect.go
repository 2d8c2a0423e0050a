package maildir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"mailutil/pkg/internal/crlf"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/mailbox"
)

var _ mailbox.Checker = (*Driver)(nil)

// lockLeft is the age at which a lock is one that somebody has left.
const lockLeft = 2 * time.Minute

// A check is an inspection at work. The first error of report, or of reading,
// sticks.
type check struct {
	d      *Driver
	ctx    context.Context
	dir    string
	ix     *index
	in     mailbox.Inspection
	report func(mailbox.Finding) error
	err    error
	buf    []byte
}

// Inspect looks at the list of UIDs, the keywords, every name and every octet.
// No lock is taken, which would leave a trace in the directory.
func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	if err := ctx.Err(); err != nil {
		return mailbox.Inspection{}, err
	}
	c := &check{d: d, ctx: ctx, report: report}
	var err error
	if c.dir, err = d.place(n); err == nil && c.dir == "" {
		err = mailbox.ErrNotExist
	}
	c.in = mailbox.Inspection{Driver: d.Name(), Path: c.dir}
	if err == nil {
		err = c.run()
	}
	return c.in, d.fail("check", n.Text, err)
}

func (c *check) run() error {
	whole, err := c.parts()
	if err != nil || !whole {
		return errors.Join(err, c.err)
	}
	before, err := c.d.stamps(c.dir)
	if err != nil {
		return err
	}
	if c.ix, err = c.d.scan(c.dir); err != nil {
		return err
	}
	c.in.Messages = uint32(len(c.ix.all))
	c.sides()
	c.list()
	c.keywords()
	for i := range c.ix.all {
		if c.stopped() {
			return c.err
		}
		c.message(i)
	}
	c.tmp()
	after, err := c.d.stamps(c.dir)
	if err == nil && after != before && c.in.Doubts+c.in.Damages > 0 {
		err = mailbox.ErrChanged
	}
	return errors.Join(c.err, err)
}

// parts reports the directories that a Maildir lacks. A directory that has
// fewer than two of the three is something else.
func (c *check) parts() (whole bool, err error) {
	fi, err := c.d.fs.Stat(c.dir)
	switch {
	case node.Gone(err):
		return false, mailbox.ErrNotExist
	case err != nil:
		return false, err
	case !fi.IsDir():
		return false, mailbox.ErrFormat
	}
	missing, err := c.d.missing(c.dir)
	switch {
	case err != nil:
		return false, err
	case len(missing) > 1:
		return false, mailbox.ErrFormat
	case len(missing) == 1 && missing[0] == "cur":
		c.damage("part-missing", 0, "directory cur is missing: no reader knows the mailbox")
		return false, nil
	case len(missing) == 1:
		c.doubt("part-missing", 0, "directory %s is missing: it is made when the mailbox is opened for writing", missing[0])
	}
	return true, nil
}

func (c *check) damage(code string, seq int, format string, args ...any) {
	c.say(mailbox.Finding{Code: code, Seq: uint32(seq), Severity: mailbox.Damage, Text: fmt.Sprintf(format, args...)})
}

func (c *check) doubt(code string, seq int, format string, args ...any) {
	c.say(mailbox.Finding{Code: code, Seq: uint32(seq), Severity: mailbox.Doubt, Text: fmt.Sprintf(format, args...)})
}

func (c *check) say(f mailbox.Finding) {
	if c.stopped() {
		return
	}
	f.Code, f.Off = "maildir."+f.Code, -1
	c.in.Count(f)
	if c.report != nil {
		c.err = c.report(f)
	}
}

func (c *check) stopped() bool {
	if c.err == nil {
		c.err = c.ctx.Err()
	}
	return c.err != nil
}

func (c *check) failed(err error) { c.err = errors.Join(c.err, err) }

// sides looks at what a crash leaves.
func (c *check) sides() {
	if pending, err := c.d.pending(c.dir); err != nil {
		c.failed(err)
	} else if pending {
		c.damage("pending", 0, "a change of several messages was interrupted: open the mailbox for writing, which finishes the change, and check it again")
	}
	fi, err := c.d.fs.Lstat(c.dir + "/" + uidlistLock)
	if err == nil {
		if age := c.d.env.Now().Sub(fi.ModTime()); age > lockLeft {
			c.doubt("lock-left", 0, "%s is %s old: remove it when no program is at work on the mailbox", uidlistLock, age.Round(time.Minute))
		}
	}
}

// list looks at the list of UIDs.
func (c *check) list() {
	file := uidlistFile
	if !c.ix.list.exists {
		file = courierFile
	}
	find := c.ix.finder()
	listed := map[string]bool{}
	_, err := c.d.readList(c.dir+"/"+file, func(r record) bool {
		if listed[string(r.base)] {
			c.damage("uid-twice", find(string(r.base))+1, "%s gives %s another UID, %d: the first counts", file, r.base, r.uid)
		} else if find(string(r.base)) >= 0 {
			listed[string(r.base)] = true
		}
		return true
	}, func(p problem) {
		where := fmt.Sprintf("%s, line %d", file, p.line)
		switch p.kind {
		case "header":
			c.damage("uidlist-header", 0, "%s cannot be read: all messages get new UIDs: %s", where, p.text)
		case "order":
			c.damage("uid-order", 0, "%s: UIDs do not ascend, the line does not count: %s", where, p.text)
		case "torn":
			c.damage("uidlist-torn", 0, "%s has no end: the message gets a new UID: %s", where, p.text)
		default:
			c.damage("uidlist-line", 0, "%s cannot be read: the message gets a new UID: %s", where, p.text)
		}
	})
	if err != nil {
		c.failed(err)
	}
}

// keywords looks at the file of keywords.
func (c *check) keywords() {
	b, err := c.d.readSmall(c.dir+"/"+keywordsFile, maxKeywordsFile)
	if ignoreGone(err) != nil {
		c.failed(err)
		return
	}
	parseSlots(b, func(line int, text []byte) {
		c.doubt("keywords-line", 0, "%s, line %d cannot be read: %.80q", keywordsFile, line, text)
	})
}

// message looks at the name of a message and at all of its text.
func (c *check) message(i int) {
	e := &c.ix.all[i]
	name := c.ix.name(e)
	if e.bits&bitTwice != 0 {
		c.damage("base-twice", i+1, "%s has the base of another message: one of them gets a new name when the mailbox is opened for writing", name)
	}
	c.info(i, name)
	size, w, fi, err := c.read(i)
	if errors.Is(err, fs.ErrNotExist) {
		return // renamed or removed meanwhile: ErrChanged
	}
	if errors.Is(err, fs.ErrInvalid) {
		c.doubt("foreign", i+1, "%s is no file", name)
		return
	}
	if err != nil {
		c.damage("unreadable", i+1, "%s cannot be read: %v", name, err)
		return
	}
	c.in.Size += size
	if s, said := sizes(c.ix.base(e)); s >= 0 && s != size {
		c.damage("size-wrong", i+1, "%s has %d octets, not %d as its name says (S=): Dovecot does not give it out", name, size, s)
	} else if said >= 0 && said != w {
		c.damage("size-wrong", i+1, "%s has %d octets with CR LF line ends, not %d as its name says (W=)", name, w, said)
	}
	if size == 0 {
		c.doubt("empty", i+1, "%s has no octets: its text was lost, or never written", name)
	}
	if fi.ModTime().Unix() == 0 {
		c.doubt("no-date", i+1, "%s has no date: that in its name counts", name)
	}
}

// info looks at the flags in a name.
func (c *check) info(i int, name []byte) {
	flags := flagLetters(name)
	colon := bytes.IndexByte(name, ':')
	switch {
	case colon >= 0 && !bytes.Contains(name, []byte(infoSep)):
		c.doubt("info-bad", i+1, "%s has an info that is not \":2,\": no reader sees flags in it", name)
	case colon < 0 && (bytes.Contains(name, []byte(";2,")) || bytes.Contains(name, []byte("!2,"))):
		c.doubt("info-bad", i+1, "%s has flags as they are written where names cannot have a colon: no reader here sees them", name)
	case !slices.IsSorted(flags):
		c.doubt("info-bad", i+1, "%s has flags that are not in order", name)
	case strings.Trim(string(flags), "DFPRSTabcdefghijklmnopqrstuvwxyz") != "":
		c.doubt("info-bad", i+1, "%s has a flag that no program knows", name)
	}
	for n := range maxLetter {
		if c.ix.all[i].letters&(1<<n) != 0 && c.ix.table.slots[n] == "" {
			c.doubt("keyword-unknown", i+1, "%s has the keyword %c, which %s does not name", name, 'a'+n, keywordsFile)
		}
	}
}

// read reads a message, and returns its octets as they are and with CRLF line
// ends.
func (c *check) read(i int) (size, w int64, fi fs.FileInfo, err error) {
	path := c.dir + "/" + c.ix.file(&c.ix.all[i])
	if fi, err = c.d.fs.Stat(path); err != nil {
		return 0, 0, nil, err
	}
	if !fi.Mode().IsRegular() {
		return 0, 0, nil, fs.ErrInvalid
	}
	f, err := fsx.OpenQuiet(c.d.fs, path)
	if err != nil {
		return 0, 0, nil, err
	}
	defer f.Close() // read only
	if c.buf == nil {
		c.buf = make([]byte, 128<<10)
	}
	cr := false
	for size < fi.Size() {
		n, err := f.ReadAt(c.buf, size)
		if n == 0 {
			return 0, 0, nil, err
		}
		w += int64(n) + crlf.Added(c.buf[:n], cr)
		cr = crlf.EndsCR(c.buf[:n], cr)
		size += int64(n)
	}
	return size, w, fi, nil
}

// tmp looks for what was left in tmp, and for what is no message.
func (c *check) tmp() {
	err := ignoreGone(c.d.readNames(c.dir+"/tmp", func(name string) {
		fi, err := c.d.fs.Lstat(c.dir + "/tmp/" + name)
		if err != nil {
			return
		}
		if age := c.d.env.Now().Sub(changed(fi)); age > staleTmp {
			c.doubt("tmp-stale", 0, "tmp/%s is %d hours old: a delivery that was interrupted; it goes when the mailbox is opened for writing", name, int(age.Hours()))
		}
	}))
	for _, sub := range []string{"new", "cur"} {
		err = errors.Join(err, ignoreGone(c.d.readEntries(c.dir+"/"+sub, func(e fs.DirEntry) {
			if !isMessage(e) {
				c.doubt("foreign", 0, "%s/%s is no message, by its name or because it is no file: no reader sees it", sub, e.Name())
			}
		})))
	}
	if err != nil {
		c.failed(err)
	}
}
