package maildir

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"math"
	"slices"
	"sort"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/mailbox"
)

// An entry is what is known of a message: 40 octets, and its name in the arena.
type entry struct {
	size    int64 // octets with CRLF line ends, -1 when not known yet
	date    int64 // Unix seconds, noDate when not known yet
	name    uint32
	uid     uint32
	letters uint32 // keywords
	nameLen uint8
	baseLen uint8
	flags   mailbox.SystemFlags // Recent, too
	bits    uint8
}

const noDate = math.MinInt64

const (
	bitNew    = 1 << iota // in new, else in cur
	bitListed             // its UID is in the list
	bitGone               // another program has removed it; it goes at Ping
	bitTwice              // another message has the same base
)

// An index is what a scan saw.
type index struct {
	arena   []byte
	all     []entry // by UID
	list    list
	table   table
	courier courierKeywords // nil where Courier keeps none, or Dovecot does
	slots   bool            // there is a file of keywords
	second  []string        // second names of messages that are there
	foreign []uint64        // keyword bits by Courier of each entry, nil for none
	known   [5]stamp        // of what was read
	racy    time.Time       // stamps that are not older say little
}

// A stamp tells whether a file or directory was written to.
type stamp struct {
	ino   uint64
	size  int64
	mtime time.Time
}

// watched are the files and directories whose stamps are looked at.
var watched = [5]string{"new", "cur", uidlistFile, keywordsFile, courierDir}

// racy is how near a stamp may be to the time of looking and still miss a later
// change: file systems keep times roughly.
const racy = 2 * time.Second

func (d *Driver) stamps(dir string) (out [5]stamp, err error) {
	for i, name := range watched {
		fi, err := d.fs.Stat(dir + "/" + name)
		if errors.Is(err, fs.ErrNotExist) && name != "cur" {
			continue
		}
		if err != nil {
			return out, err
		}
		out[i] = stamp{inode(fi), fi.Size(), fi.ModTime()}
	}
	return out, nil
}

// current reports whether nothing was written since ix was read, as far as
// stamps can tell.
func (ix *index) current(now [5]stamp) bool {
	for i, s := range now {
		if s != ix.known[i] || s.mtime.After(ix.racy) {
			return false
		}
	}
	return true
}

func (ix *index) name(e *entry) []byte { return ix.arena[e.name:][:e.nameLen] }
func (ix *index) base(e *entry) []byte { return ix.arena[e.name:][:e.baseLen] }

// file is the name of a message below the Maildir.
func (ix *index) file(e *entry) string {
	sub := "cur/"
	if e.bits&bitNew != 0 {
		sub = "new/"
	}
	return sub + string(ix.name(e))
}

// setName gives a message another file.
func (ix *index) setName(e *entry, file string) {
	e.bits &^= bitNew
	if file[:4] == "new/" {
		e.bits |= bitNew
	}
	name := file[4:]
	recent := e.flags & mailbox.Recent
	e.name, e.nameLen, e.baseLen = uint32(len(ix.arena)), uint8(len(name)), uint8(baseLen([]byte(name)))
	ix.arena = append(ix.arena, name...)
	e.flags, e.letters = parseFlags([]byte(name))
	e.flags |= recent
}

// used are the keyword letters that some name bears.
func (ix *index) used() (letters uint32) {
	for i := range ix.all {
		letters |= ix.all[i].letters
	}
	return letters
}

// readNames calls each for the names in a directory.
func (d *Driver) readNames(dir string, each func(name string)) error {
	return fsx.ReadDir(d.fs, dir, func(e fs.DirEntry) { each(e.Name()) })
}

// isMessage reports whether an entry of new or cur is a message: a file whose
// name does not begin with a dot or a colon. A symbolic link may lead to one.
func isMessage(e fs.DirEntry) bool {
	name := e.Name()
	return name[0] != '.' && name[0] != ':' && (e.Type().IsRegular() || e.Type() == fs.ModeSymlink)
}

// maxScans is how often a directory is read again because it has changed
// meanwhile.
const maxScans = 5

// scan reads the names of all messages, their UIDs and keywords. While the lock
// is not held it is done again when something has changed meanwhile: a message
// that is renamed may be missed.
func (d *Driver) scan(dir string) (ix *index, err error) {
	before, err := d.stamps(dir)
	if err != nil {
		return nil, err
	}
	for range maxScans {
		start := time.Now()
		if ix, err = d.scanOnce(dir); err != nil {
			return nil, err
		}
		after, err := d.stamps(dir)
		if err != nil {
			return nil, err
		}
		ix.known, ix.racy = after, start.Add(-racy)
		if after == before {
			break
		}
		before = after
	}
	return ix, nil
}

func (d *Driver) scanOnce(dir string) (*index, error) {
	ix := &index{}
	err := d.readMessages(dir, func(file string) { ix.add(file) })
	if err != nil {
		return nil, err
	}
	if uint64(len(ix.arena)) > math.MaxUint32/2 {
		return nil, fmt.Errorf("%s holds too many messages", dir)
	}
	find, twice := ix.byBase()
	if err := d.keepTwice(dir, ix, find, twice); err != nil {
		return nil, err
	}
	if err := d.readUIDs(dir, ix, find); err != nil {
		return nil, err
	}
	ix.order()
	s, is, err := d.readSlots(dir)
	if err != nil {
		return nil, err
	}
	ix.slots = is
	if !is {
		if ix.courier, err = d.readCourier(dir); err != nil {
			return nil, err
		}
	}
	ix.setTable(s)
	return ix, nil
}

// readMessages calls each for the files of all messages, "new/X" and "cur/X".
func (d *Driver) readMessages(dir string, each func(file string)) error {
	for _, sub := range []string{"new/", "cur/"} {
		err := fsx.ReadDir(d.fs, dir+"/"+sub[:3], func(e fs.DirEntry) {
			if isMessage(e) {
				each(sub + e.Name())
			}
		})
		if errors.Is(err, fs.ErrNotExist) && sub == "new/" {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (ix *index) add(file string) {
	ix.all = append(ix.all, entry{size: -1, date: noDate})
	ix.setName(&ix.all[len(ix.all)-1], file)
}

var seed = maphash.MakeSeed()

// byBase takes out all but the last of the messages that have the same base,
// and returns what finds a message by its base.
func (ix *index) byBase() (find func(base []byte) *entry, twice []entry) {
	at := make(map[uint64]int32, len(ix.all))
	slot := func(base []byte) (uint64, int32) {
		for h := maphash.Bytes(seed, base); ; h++ {
			i, ok := at[h]
			if !ok {
				return h, -1
			}
			if bytes.Equal(ix.base(&ix.all[i]), base) {
				return h, i
			}
		}
	}
	n := int32(0)
	for _, e := range ix.all {
		h, i := slot(ix.base(&e))
		if i < 0 {
			i = n
			at[h] = i
			n++
		} else {
			twice = append(twice, ix.all[i])
		}
		ix.all[i] = e
	}
	ix.all = ix.all[:n]
	return func(base []byte) *entry {
		if _, i := slot(base); i >= 0 {
			return &ix.all[i]
		}
		return nil
	}, twice
}

// keepTwice keeps messages whose base another has as well. One that was
// renamed while we read is seen twice, and is one; so is a file with two names.
func (d *Driver) keepTwice(dir string, ix *index, find func([]byte) *entry, twice []entry) error {
	for _, e := range twice {
		a, err := d.fs.Lstat(dir + "/" + ix.file(&e))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		b, err2 := d.fs.Lstat(dir + "/" + ix.file(find(ix.base(&e))))
		if errors.Is(err2, fs.ErrNotExist) {
			*find(ix.base(&e)) = e
			continue
		}
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		if inode(a) != inode(b) {
			e.bits |= bitTwice
			ix.all = append(ix.all, e)
		} else {
			ix.second = append(ix.second, ix.file(&e))
		}
	}
	return nil
}

// readUIDs gives messages the UIDs that some program has kept.
func (d *Driver) readUIDs(dir string, ix *index, find func([]byte) *entry) error {
	take := func(r record) bool {
		e := find(r.base)
		if e == nil || e.uid != 0 {
			return false
		}
		e.uid = r.uid
		e.bits |= bitListed
		if w := r.ext('W'); w >= 0 {
			e.size = -2 - w // believed once the file is looked at
		}
		return true
	}
	var err error
	if ix.list, err = d.readList(dir+"/"+uidlistFile, take, nil); err != nil || ix.list.exists {
		return err
	}
	ix.list, err = d.readList(dir+"/"+courierFile, take, nil)
	ix.list.courier, ix.list.exists = ix.list.exists, false
	if err != nil || ix.list.validity != 0 {
		return err
	}
	h, ok, err := d.mbsyncHeader(dir)
	if !ok || err != nil {
		return err
	}
	ix.list.header = h
	for i := range ix.all {
		e := &ix.all[i]
		if u := field(ix.base(e), "U="); u > 0 && u < int64(h.next) {
			e.uid = uint32(u)
			e.bits |= bitListed
		}
	}
	return nil
}

// order sorts by UID; those that have none yet come last, by the time in their
// names, and get the next ones. All UIDs are different then.
func (ix *index) order() {
	ix.sort()
	next := max(ix.list.next, 1)
	for i := range ix.all {
		e := &ix.all[i]
		if i > 0 && e.uid != 0 && e.uid == ix.all[i-1].uid { // two names of mbsync
			e.uid = 0
			e.bits &^= bitListed
		}
		if e.bits&(bitListed|bitNew) != bitListed {
			e.flags |= mailbox.Recent
		}
	}
	if slices.IsSortedFunc(ix.all, func(a, b entry) int { return btoi(a.uid == 0) - btoi(b.uid == 0) }) {
		ix.number(next)
		return
	}
	ix.order() // with those that were found twice at the end
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// number gives UIDs to those that have none.
func (ix *index) number(next uint32) {
	for i := range ix.all {
		if e := &ix.all[i]; e.uid == 0 {
			e.uid = next
			next++
		}
	}
	ix.list.next = next
}

// sort puts those that have no UID behind the others, by the times in their
// names, then the names.
func (ix *index) sort() {
	type aged struct {
		entry
		sec, usec int64
	}
	all := make([]aged, len(ix.all))
	for i, e := range ix.all {
		all[i].entry = e
		all[i].sec, all[i].usec = named(ix.base(&e))
	}
	sort.Slice(all, func(i, k int) bool {
		a, b := &all[i], &all[k]
		return cmp.Or(
			cmp.Compare(a.uid-1, b.uid-1), // 0 is the largest
			cmp.Compare(a.sec, b.sec), cmp.Compare(a.usec, b.usec),
			bytes.Compare(ix.base(&a.entry), ix.base(&b.entry))) < 0
	})
	for i := range all {
		ix.all[i] = all[i].entry
	}
}

// setTable makes the keyword bits.
func (ix *index) setTable(s slots) {
	ix.table = newTable(s, ix.used())
	ix.foreign = nil
	if ix.courier == nil {
		return
	}
	ix.foreign = make([]uint64, len(ix.all))
	for i := range ix.all {
		for _, name := range ix.courier[string(ix.base(&ix.all[i]))] {
			ix.foreign[i] |= ix.table.bit(name)
		}
	}
}

// keywords are the keyword bits of message i.
func (ix *index) keywords(i int) uint64 {
	bits := ix.table.keywords(ix.all[i].letters)
	if ix.foreign != nil {
		bits |= ix.foreign[i]
	}
	return bits
}

// inherit takes over what a session knew of messages, and reports whether
// anything is different.
func (ix *index) inherit(old *index) (changed bool) {
	changed = len(ix.all) != len(old.all) || ix.list.validity != old.list.validity || !slices.Equal(ix.table.names, old.table.names)
	j := 0
	for i := range ix.all {
		e := &ix.all[i]
		for j < len(old.all) && old.all[j].uid < e.uid {
			j++
		}
		if j == len(old.all) || old.all[j].uid != e.uid || !bytes.Equal(ix.base(e), old.base(&old.all[j])) {
			changed = true
			continue
		}
		was := &old.all[j]
		e.flags |= was.flags & mailbox.Recent
		if was.date != noDate {
			e.size, e.date = was.size, was.date
		}
		changed = changed || e.flags != was.flags || !changed && ix.keywords(i) != old.keywords(j)
	}
	return changed
}

// settle makes date and size of a message known: by a look at its file where its
// name or the list tells the size, else by reading it.
func (b *box) settle(i int) error {
	e := &b.ix.all[i]
	disk, w := sizes(b.ix.base(e))
	if w < 0 && e.size <= -2 {
		w = -2 - e.size
	}
	var size int64
	var mtime time.Time
	var err error
	if w >= 0 && disk >= 0 {
		var fi fs.FileInfo
		if fi, err = b.stat(i); err == nil {
			size, mtime = fi.Size(), fi.ModTime()
		}
	} else if err = b.openText(i); err == nil {
		size, mtime = b.source.Size, b.source.MTime
	}
	if node.Gone(err) || errors.Is(err, errRemoved) { // it goes at Ping; what is known has to do
		e.date, _ = named(b.ix.base(e))
		e.size = max(w, 0)
		return nil
	}
	if err != nil {
		return err
	}
	if disk != size || w < disk || w > 2*disk {
		if err = b.openText(i); err == nil {
			w, err = b.text.Measure()
		}
		if err != nil {
			return err
		}
	}
	e.size, e.date = w, mtime.Unix()
	if e.date == 0 { // as unpacking without times leaves it
		e.date, _ = named(b.ix.base(e))
	}
	return nil
}

// dateOf is an internal date; the zone is not kept.
func dateOf(sec int64) mailbox.Date { return mailbox.DateOf(time.Unix(sec, 0).UTC()) }
