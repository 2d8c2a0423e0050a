package maildir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/msgtext"
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
	file   msgtext.File // the message that is looked at

	// What a repair needs to know of it.
	seen    []seen   // of each message
	missing []string // directories
	blocked []string // names of directories or lists that something else has
	shut    []string // files that their owner may not read
	strays  []string // what is no message, in new and cur
	stale   []string // what was left in tmp
	pending bool     // a change was interrupted
	broken  error    // why a message cannot be read that its owner may
}

// A seen is what was seen of the text of a message.
type seen struct {
	whole   bool  // it was read
	size, w int64 // octets, and octets with CRLF line ends
}

// Inspect looks at the list of UIDs, the keywords, every name and every octet.
// No lock is taken, which would leave a trace in the directory.
func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	in, err := d.inspect(ctx, n, report, func(*check, [5]stamp) error { return nil })
	return in, d.fail("check", n.Text, err)
}

// inspect looks at the mailbox n, and calls then for what it found.
func (d *Driver) inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error, then func(c *check, before [5]stamp) error) (mailbox.Inspection, error) {
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
		err = c.run(then)
	}
	return c.in, err
}

func (c *check) run(then func(c *check, before [5]stamp) error) error {
	whole, err := c.parts()
	if err == nil {
		c.lists()
	}
	if whole = whole && len(c.blocked)+len(c.shut) == 0; err == nil && !whole {
		err = then(c, [5]stamp{})
	}
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
	c.in.Messages, c.seen = uint32(len(c.ix.all)), make([]seen, len(c.ix.all))
	c.sides()
	c.list()
	c.keywords()
	for i := range c.ix.all {
		if c.stopped() {
			return c.err
		}
		c.message(i)
	}
	for _, file := range c.ix.second {
		c.damage("name-twice", 0, "%s is a second name of a message: other programs show it twice", file)
	}
	c.tmp()
	after, err := c.d.stamps(c.dir)
	if err == nil && after != before && c.in.Doubts+c.in.Damages > 0 {
		err = mailbox.ErrChanged
	}
	if err = errors.Join(c.err, err); err == nil {
		err = then(c, before)
	}
	return err
}

// parts reports the directories that a Maildir lacks. A directory that has only
// one of the three is something else, unless a mail program has left its files
// there.
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
	if c.missing, err = c.d.missing(c.dir); err != nil {
		return false, err
	}
	if n := len(c.missing); n == len(parts) || n > 1 && !c.wasMaildir() {
		return false, mailbox.ErrFormat
	}
	whole = len(c.missing) == 0 || len(c.missing) == 1 && c.missing[0] != "cur"
	for _, part := range c.missing {
		if whole {
			c.doubt("part-missing", 0, "directory %s is missing: it is made when the mailbox is opened for writing", part)
		} else {
			c.damage("part-missing", 0, "directory %s is missing: no reader knows the mailbox", part)
		}
	}
	return whole, nil
}

// lists looks whether the lists are files that their owner may read. Before that
// nothing else can be told.
func (c *check) lists() {
	for _, part := range c.missing {
		if _, err := c.d.fs.Lstat(c.dir + "/" + part); err == nil {
			c.blocked = append(c.blocked, part)
		}
	}
	for _, name := range []string{uidlistFile, keywordsFile} {
		if _, err := c.d.fs.Lstat(c.dir + "/" + name); err != nil {
			continue
		}
		switch fi, err := c.d.fs.Stat(c.dir + "/" + name); {
		case err != nil || !fi.Mode().IsRegular():
			c.blocked = append(c.blocked, name)
			c.damage("list-no-file", 0, "%s is no file: no UIDs can be given", name)
		case fi.Mode()&0o400 == 0:
			c.shut = append(c.shut, name)
			c.damage("unreadable", 0, "%s may not be read by its owner", name)
		}
	}
}

// wasMaildir reports whether a directory has files as mail programs leave them
// in a Maildir.
func (c *check) wasMaildir() bool {
	for _, name := range []string{uidlistFile, keywordsFile, courierFile, folderFile} {
		if fi, err := c.d.fs.Lstat(c.dir + "/" + name); err == nil && fi.Mode().IsRegular() {
			return true
		}
	}
	return false
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
	var err error
	if c.pending, err = c.d.pending(c.dir); err != nil {
		c.failed(err)
	} else if c.pending {
		c.damage("pending", 0, "a change of several messages was interrupted: open the mailbox for writing, which finishes the change, and check it again")
	}
	fi, err := c.d.fs.Lstat(c.dir + "/" + uidlistLock)
	if err == nil {
		if age := c.d.env.Now().Sub(fi.ModTime()); age > lockLeft {
			c.doubt("lock-left", 0, "%s is %s old: remove it when no program is at work on the mailbox", uidlistLock, age.Round(time.Minute))
		}
	}
}

// listFile is the list of UIDs that counts, "" for none.
func (ix *index) listFile() string {
	switch {
	case ix.list.exists:
		return uidlistFile
	case ix.list.courier:
		return courierFile
	}
	return ""
}

// list looks at the list of UIDs.
func (c *check) list() {
	file := c.ix.listFile()
	if file == "" {
		return
	}
	f, err := fsx.OpenQuiet(c.d.fs, c.dir+"/"+file)
	if err == nil {
		err = errors.Join(c.listIn(file, io.NewSectionReader(f, 0, math.MaxInt64)), f.Close())
	}
	if ignoreGone(err) != nil {
		c.failed(err)
	}
}

func (c *check) listIn(file string, in io.Reader) error {
	find := c.ix.finder()
	listed := map[string]bool{}
	_, err := scanList(in, func(r record) bool {
		i := find(string(r.base))
		if listed[string(r.base)] {
			c.damage("uid-twice", i+1, "%s gives %s another UID, %d: the first counts", file, r.base, r.uid)
		}
		listed[string(r.base)] = i >= 0
		return i >= 0
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
	return err
}

// keywords looks at the file of keywords.
func (c *check) keywords() {
	b, err := c.d.readSmall(c.dir+"/"+keywordsFile, maxKeywordsFile)
	if ignoreGone(err) != nil {
		c.failed(err)
		return
	}
	c.keywordsIn(b)
}

func (c *check) keywordsIn(b []byte) {
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
	c.info(i)
	size, w, fi, err := c.read(i)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.nowhere(i)
		return // renamed or removed meanwhile: ErrChanged
	case errors.Is(err, fs.ErrInvalid):
		c.stray(c.ix.file(e))
		return
	case errors.Is(err, fs.ErrPermission), err == nil && fi.Mode()&0o400 == 0:
		c.shut = append(c.shut, c.ix.file(e))
		c.damage("unreadable", i+1, "%s may not be read by its owner", name)
	case err != nil:
		c.broken = fmt.Errorf("%s cannot be read: %w", name, err)
		c.damage("unreadable", i+1, "%s cannot be read: %v", name, err)
	}
	if err != nil {
		return
	}
	c.seen[i] = seen{true, size, w}
	c.in.Size += size
	c.sizes(i)
	if size == 0 {
		c.doubt("empty", i+1, "%s has no octets: its text was lost, or never written", name)
	}
	if fi.ModTime().Unix() == 0 {
		c.doubt("no-date", i+1, "%s has no date: that in its name counts", name)
	}
}

// nowhere looks whether a message that is not there is a link that leads
// nowhere.
func (c *check) nowhere(i int) {
	file := c.ix.file(&c.ix.all[i])
	if fi, err := c.d.fs.Lstat(c.dir + "/" + file); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		c.stray(file)
	}
}

// stray reports what is no message.
func (c *check) stray(file string) {
	c.strays = append(c.strays, file)
	c.doubt("foreign", 0, "%s is no message, by its name or because it is no file", file)
}

// sizes compares the sizes in a name with those of the text.
func (c *check) sizes(i int) {
	is, name := c.seen[i], c.ix.name(&c.ix.all[i])
	if s, said := sizes(c.ix.base(&c.ix.all[i])); s >= 0 && s != is.size {
		c.damage("size-wrong", i+1, "%s has %d octets, not %d as its name says (S=): Dovecot does not give it out", name, is.size, s)
	} else if said >= 0 && said != is.w {
		c.damage("size-wrong", i+1, "%s has %d octets with CR LF line ends, not %d as its name says (W=)", name, is.w, said)
	}
}

// info looks at the flags in a name.
func (c *check) info(i int) {
	e := &c.ix.all[i]
	file := c.ix.file(e)
	if tidy, why := tidied(file); tidy != file {
		c.doubt("info-bad", i+1, "%s %s", file, why)
	}
	for n := range maxLetter {
		if e.letters&(1<<n) != 0 && c.ix.table.slots[n] == "" {
			c.doubt("keyword-unknown", i+1, "%s has the keyword %c, which %s does not name", file, 'a'+n, keywordsFile)
		}
	}
}

// read reads a message, and returns its octets as they are, unpacked, and with
// CRLF line ends.
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
	c.file.Use(f, fi)
	defer c.file.Close() // read only
	if err := c.file.Unpack(c.d.env); err != nil {
		return 0, 0, nil, err
	}
	text := msgtext.Text{Piece: c.file.Piece, LF: true}
	text.Reset(c.file.Size)
	w, err = text.Measure()
	return c.file.Size, w, fi, err
}

// tmp looks for what was left in tmp, and for what is no message.
func (c *check) tmp() {
	err := ignoreGone(c.d.readNames(c.dir+"/tmp", func(name string) {
		fi, err := c.d.fs.Lstat(c.dir + "/tmp/" + name)
		if err != nil {
			return
		}
		if age := c.d.env.Now().Sub(changed(fi)); age > staleTmp && fi.Mode().IsRegular() {
			c.stale = append(c.stale, "tmp/"+name)
			c.doubt("tmp-stale", 0, "tmp/%s is %d hours old: a delivery that was interrupted; it goes when the mailbox is opened for writing", name, int(age.Hours()))
		}
	}))
	for _, sub := range []string{"new", "cur"} {
		err = errors.Join(err, ignoreGone(fsx.ReadDir(c.d.fs, c.dir+"/"+sub, func(e fs.DirEntry) {
			if !isMessage(e) && !strings.HasPrefix(e.Name(), ".nfs") { // open files that were removed
				c.stray(sub + "/" + e.Name())
			}
		})))
	}
	if err != nil {
		c.failed(err)
	}
}
