package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// A planner plans what is to be done about one Maildir.
type planner struct {
	*check
	acc   mailbox.RepairAccount
	steps []mailbox.Step
	lost  []mend.Lost

	to    map[int]string // the file that a message is to be, "" for one that goes; others stay
	uids  []uint32       // that each message is to have in the list, 0 for none
	slots slots

	first    func(base string) int // finds a message, of two with one base that which keeps it
	list     []byte                // of UIDs, nil where it stays
	newSlots bool
	moves    []step   // renames, then removals
	others   []string // what is no file, and goes where the original is kept
	inner    []step   // messages in directories of others
}

func (p *planner) step(action string, i int, octets int64, format string, args ...any) {
	p.steps = append(p.steps, mailbox.Step{Action: action, Off: -1, Octets: octets, Seq: uint32(i + 1), Text: fmt.Sprintf(format, args...)})
}

// none is the number of no message.
const none = -1

// run plans from what the check has seen. All of it is planned, and then
// compared with what a check would see.
func (p *planner) run() error {
	p.acc = mailbox.RepairAccount{Messages: p.in.Messages, Intact: p.in.Messages, UIDValidity: p.ix.list.validity}
	p.to, p.slots, p.first = map[int]string{}, p.ix.table.slots, p.ix.firsts()
	for _, part := range p.missing {
		p.step("make-directory", none, 0, "make the directory %s", part)
	}
	for _, file := range p.shut {
		p.step("make-readable", none, 0, "let its owner read %s", file)
	}
	for i := range p.ix.all {
		p.name(i)
	}
	for i := range p.ix.all {
		if p.ix.all[i].bits&bitTwice != 0 {
			if err := p.double(i); err != nil {
				return err
			}
		}
	}
	p.part()
	if err := p.keepCourier(); err != nil {
		return err
	}
	if err := p.keywordNames(); err != nil {
		return err
	}
	p.rename()
	for _, file := range p.ix.second {
		p.remove(file, "take the second name away: %s", file)
	}
	for _, file := range slices.Concat(p.stale, p.strays) {
		if err := p.setAside(file); err != nil {
			return err
		}
	}
	if err := p.planList(); err != nil {
		return err
	}
	p.acc.Intact = p.acc.Messages - min(p.acc.Ends+p.acc.Partial, p.acc.Messages)
	return nil
}

// early plans what has to be done before anything else can be told.
func (p *planner) early() {
	p.others = p.blocked
	for _, name := range p.blocked {
		p.step("set-aside", none, 0, "put %s where the original is kept: it is not what has that name in a Maildir", name)
	}
	for _, file := range p.shut {
		p.step("make-readable", none, 0, "let its owner read %s", file)
	}
	for _, part := range p.missing {
		p.step("make-directory", none, 0, "make the directory %s", part)
	}
	p.step("look-again", none, 0, "look again")
}

// file is what message i is to be called, "" for one that goes.
func (p *planner) file(i int) string {
	if to, ok := p.to[i]; ok {
		return to
	}
	return p.ix.file(&p.ix.all[i])
}

// newBase reports whether message i gets another base.
func (p *planner) newBase(i int) bool {
	to, ok := p.to[i]
	return ok && to != "" && baseOf(to) != string(p.ix.base(&p.ix.all[i]))
}

// needed reports whether anything is to be done.
func (p *planner) needed() bool { return len(p.steps) > 0 }

// name plans the name of message i: flags as programs write them, and sizes that
// are right.
func (p *planner) name(i int) {
	e := &p.ix.all[i]
	file := p.ix.file(e)
	if slices.Contains(p.strays, file) {
		p.acc.Messages--
		p.to[i] = ""
		return
	}
	tidy, why := tidied(file)
	if why != "" {
		p.step("rename", i, 0, "call it %s: it %s", tidy, why)
	}
	if is := p.seen[i]; is.whole {
		sub, base := tidy[:4], tidy[4:]
		info := base[baseLen([]byte(base)):]
		base = base[:len(base)-len(info)]
		if right := withSizes(base, is.size, is.w); right != base {
			tidy = sub + right + info
			p.acc.Ends++
			p.step("rename", i, 0, "call it %s: its text has %d octets, and %d with CR LF line ends", tidy, is.size, is.w)
		}
	}
	if tidy != file {
		p.to[i] = tidy
	}
}

// double plans what becomes of a message that has the base of another: one of
// the same octets goes, for it is the same, and another gets a name of its own.
func (p *planner) double(i int) error {
	e := &p.ix.all[i]
	k := p.first(string(p.ix.base(e)))
	same, err := p.sameText(i, k)
	if err != nil {
		return err
	}
	if same {
		p.to[i] = ""
		p.acc.Messages--
		p.join(k, i)
		p.step("drop-double", none, p.seen[i].size, "take %s away: %s is the same, to the octet", p.ix.file(e), p.ix.file(&p.ix.all[k]))
		return nil
	}
	p.newName(i)
	return nil
}

// newName gives message i a base of its own.
func (p *planner) newName(i int) {
	old := p.file(i)
	base := newNamer(p.d.env.Host).next(p.d.env.Now())
	if p.seen[i].whole {
		base += fmt.Sprintf(",S=%d,W=%d", p.seen[i].size, p.seen[i].w)
	}
	p.to[i] = old[:4] + base + old[4+baseLen([]byte(old[4:])):]
	p.step("rename", i, 0, "call it %s: another message has its name", p.to[i])
}

// part gives messages names of their own that would come to have one.
func (p *planner) part() {
	has := map[string]bool{}
	for i := range p.ix.all {
		if !p.newBase(i) {
			continue
		}
		base := baseOf(p.to[i])
		if k := p.first(base); has[base] || k >= 0 && p.file(k) != "" && !p.newBase(k) {
			p.newName(i)
		}
		has[baseOf(p.to[i])] = true
	}
}

// join gives message k the flags of its double i, too, but is not Deleted unless
// both are.
func (p *planner) join(k, i int) {
	a, b := &p.ix.all[k], &p.ix.all[i]
	if !bytes.Contains(p.ix.name(b), []byte(infoSep)) { // as it came
		return
	}
	flags := (a.flags|b.flags)&^mailbox.Deleted | a.flags&b.flags&mailbox.Deleted
	if flags &^= mailbox.Recent; flags == a.flags&^mailbox.Recent && a.letters|b.letters == a.letters {
		return
	}
	p.to[k] = "cur/" + withFlags(p.file(k)[4:], flags, a.letters|b.letters)
	p.acc.Flags++
	p.step("guess-flags", k, 0, "give it the flags of both: %s", p.to[k])
}

// firsts is finder, but for messages that have the base of another.
func (ix *index) firsts() func(base string) int {
	find := ix.finder()
	again := map[string]int{}
	for i := range ix.all {
		if e := &ix.all[i]; e.bits&bitTwice == 0 && len(again) < len(ix.all) && find(string(ix.base(e))) != i {
			again[string(ix.base(e))] = i
		}
	}
	return func(base string) int {
		if i, ok := again[base]; ok {
			return i
		}
		return find(base)
	}
}

// sameText reports whether two messages have the same octets.
func (p *planner) sameText(i, k int) (bool, error) {
	if !p.seen[i].whole || !p.seen[k].whole || p.seen[i] != p.seen[k] {
		return false, nil
	}
	var open [2]*os.File
	for n, i := range []int{i, k} {
		f, err := os.Open(p.dir + "/" + p.ix.file(&p.ix.all[i]))
		if err != nil {
			return false, err
		}
		defer f.Close() // read only
		open[n] = f
	}
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(open[0], a)
		m, err2 := io.ReadFull(open[1], b)
		if n != m || !bytes.Equal(a[:n], b[:m]) {
			return false, nil
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return true, nil
		}
		if err = errors.Join(err, err2); err != nil {
			return false, err
		}
	}
}

// keepCourier turns the keywords that Courier keeps by the names of messages into
// letters, where a message that has some gets another name.
func (p *planner) keepCourier() error {
	any := false
	for i := range p.to {
		any = any || p.ix.foreign != nil && p.ix.foreign[i] != 0 && p.newBase(i)
	}
	if !any {
		return nil
	}
	used := p.ix.used()
	for i, bits := range p.ix.foreign {
		for _, name := range (mailbox.Flags{Keywords: bits}).Names(p.ix.table.names) {
			if p.slots.create(name, used) < 0 {
				return fmt.Errorf("%w: message %d has a keyword of Courier's for which there is no letter", mailbox.ErrUnsupported, i+1)
			}
		}
	}
	p.newSlots = true
	p.step("adopt-keywords", none, 0, "write the keywords that Courier has kept by name into %s and the names of messages", keywordsFile)
	for i := range p.ix.all {
		if more := p.foreignLetters(i); more != 0 && p.file(i) != "" {
			e := &p.ix.all[i]
			p.to[i] = "cur/" + withFlags(p.file(i)[4:], e.flags&^mailbox.Recent, e.letters|more)
		}
	}
	return nil
}

// foreignLetters are those of the keywords that Courier keeps for message i.
func (p *planner) foreignLetters(i int) (mask uint32) {
	for _, name := range (mailbox.Flags{Keywords: p.ix.foreign[i]}).Names(p.ix.table.names) {
		if n := p.slots.find(name); n >= 0 {
			mask |= 1 << n
		}
	}
	return mask
}

// keywordNames plans the file of keywords: names for all letters that are used.
func (p *planner) keywordNames() error {
	b, err := p.d.readSmall(p.dir+"/"+keywordsFile, maxKeywordsFile)
	if ignoreGone(err) != nil {
		return err
	}
	var odd []string
	parseSlots(b, func(_ int, text []byte) {
		odd = append(odd, string(text))
		p.lose(keywordsFile, text, "no keyword can be read")
	})
	before := p.slots
	var nameless []int
	for n, used := 0, p.ix.used(); n < maxLetter; n++ {
		if used&(1<<n) != 0 && p.slots[n] == "" {
			nameless = append(nameless, n)
		}
	}
	for _, n := range nameless {
		name := fmt.Sprint("unknown-", n)
		if left := lostName(odd); left != "" && len(nameless) == 1 && p.slots.find(left) < 0 {
			name = left
		}
		p.slots[n] = name
		p.acc.Keywords++
		p.step("name-keyword", none, 0, "call the keyword %c %s: %s has no name for it", 'a'+n, name, keywordsFile)
	}
	p.newSlots = p.newSlots || p.slots != before || len(odd) > 0
	return nil
}

// lostName is the name in the only line whose number cannot be read, "" where
// there is none, or more.
func lostName(odd []string) (is string) {
	for _, line := range odd {
		num, name, ok := strings.Cut(line, " ")
		if _, err := strconv.ParseUint(num, 10, 8); !ok || err == nil || !mailbox.ValidKeyword(name) {
			continue
		}
		if is != "" {
			return ""
		}
		is = name
	}
	return is
}

// rename plans the renames and removals of messages.
func (p *planner) rename() {
	var goes []step
	for i := range p.ix.all {
		to, ok := p.to[i]
		file := p.ix.file(&p.ix.all[i])
		switch {
		case !ok || to == file || to == "" && slices.Contains(p.strays, file):
		case to == "":
			goes = append(goes, step{file, nameGoes})
		default:
			p.moves = append(p.moves, step{file, to})
		}
	}
	p.moves = append(p.moves, goes...)
}

// remove plans to take a name away, which is kept with the original.
func (p *planner) remove(file, format string, args ...any) {
	p.moves = append(p.moves, step{file, nameGoes})
	p.step("remove", none, 0, format, args...)
}

// setAside plans what becomes of a file that is no message: its octets go to
// NAME.lost, and to NAME.salvage, where they can be read as mail.
func (p *planner) setAside(file string) error {
	fi, err := p.d.fs.Lstat(p.dir + "/" + file)
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		p.others = append(p.others, file)
		if fi.IsDir() {
			if err := p.takeIn(file); err != nil {
				return err
			}
		}
		p.step("set-aside", none, 0, "put %s where the original is kept: it is no message", file)
		return nil
	}
	why := "its name is not that of a message"
	if strings.HasPrefix(file, "tmp/") {
		why = "a delivery that was interrupted"
	}
	if fi.Size() > 0 && fi.Mode()&0o400 != 0 {
		p.lost = append(p.lost, mend.Lost{End: fi.Size(), Why: why, Salvage: true, Of: file})
	}
	p.acc.SetAside += fi.Size()
	p.moves = append(p.moves, step{file, nameGoes})
	p.step("set-aside", none, fi.Size(), "set %s aside, %d octets: %s", file, fi.Size(), why)
	return nil
}

// takeIn plans to take messages out of a directory that is a part of a Maildir
// within one, as programs leave it that copy directories into each other.
func (p *planner) takeIn(dir string) error {
	if !slices.Contains(parts[:], dir[4:]) {
		return nil
	}
	return fsx.ReadDir(p.d.fs, p.dir+"/"+dir, func(e fs.DirEntry) {
		name := e.Name()
		if !isMessage(e) || !e.Type().IsRegular() || p.first(name[:baseLen([]byte(name))]) >= 0 {
			return
		}
		to, _ := tidied(dir[:4] + name)
		p.inner = append(p.inner, step{dir + "/" + name, to})
		p.acc.Messages++
		p.step("take-in", none, 0, "call %s/%s %s: no reader sees it there", dir, name, to)
	})
}

// lose leaves octets of a file of metadata out.
func (p *planner) lose(file string, text []byte, why string) {
	if len(text) == 0 {
		return
	}
	p.lost = append(p.lost, mend.Lost{End: int64(len(text)), Why: why, From: bytes.NewReader(bytes.Clone(text)), Of: file})
	p.acc.SetAside += int64(len(text))
	p.step("set-aside", none, int64(len(text)), "set %d octets of %s aside: %s", len(text), file, why)
}

// planList plans the list of UIDs: anew where lines of it cannot be read, or
// messages that are in it get other names.
func (p *planner) planList() error {
	file := p.ix.listFile()
	if file == "" {
		return nil
	}
	b, err := p.d.readSmall(p.dir+"/"+file, maxList)
	if err != nil {
		return err
	}
	sound := true
	given := map[string]bool{}
	if _, err := scanList(bytes.NewReader(b), func(r record) bool {
		base := string(r.base)
		sound = sound && !given[base]
		is := p.first(base) >= 0
		given[base] = given[base] || is
		return is
	}, func(problem) { sound = false }); err != nil {
		return err
	}
	for i := range p.to { // a list that is sound has messages that get another base, too
		sound = sound && !(p.newBase(i) && given[string(p.ix.base(&p.ix.all[i]))] && p.ix.all[i].bits&bitTwice == 0)
	}
	if sound {
		return nil
	}
	version := listVersion
	if file == courierFile {
		version = versionOne
	}
	p.writeList(salvageList(p, b, version), file, b)
	return nil
}

// maxList is how large a list of UIDs may be: that of ten million messages.
const maxList = 1 << 30

// writeList makes the list of UIDs anew.
func (p *planner) writeList(s *salvage, file string, b []byte) {
	h := s.header
	h.version, h.next = listVersion, s.next()
	if h.validity == 0 {
		h.validity, p.acc.Raised = max(uint32(p.d.env.Now().Unix()), 1), true
		p.step("new-uidvalidity", none, 0, "give the mailbox the UIDVALIDITY %d: that which it had is lost", h.validity)
	}
	if !strings.Contains(h.rest, "G") {
		h.rest = strings.TrimSpace(newGUID() + " " + h.rest)
	}
	p.acc.UIDValidity = h.validity
	p.uids = make([]uint32, len(p.ix.all))
	exts := make([]string, len(p.ix.all))
	for _, l := range s.lines {
		if l.msg >= 0 && p.file(l.msg) != "" {
			p.uids[l.msg], exts[l.msg] = l.uid, l.exts
		}
		p.account(&l, file, b)
	}
	h.next = p.number(s, h.next)
	order := make([]int, 0, len(p.ix.all))
	for i, uid := range p.uids {
		if uid != 0 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return int(int64(p.uids[a]) - int64(p.uids[b])) })
	p.list = h.print()
	for _, i := range order {
		p.list = appendLine(p.list, p.uids[i], exts[i], baseOf(p.file(i)))
	}
	p.step("write-uidlist", none, int64(len(b)), "write %s anew: %d lines", uidlistFile, len(order))
}

// account says what becomes of a line that is damaged.
func (p *planner) account(l *listed, file string, b []byte) {
	switch {
	case l.msg < 0 && l.sound && !l.twice: // of a message that was removed
	case l.msg < 0 && l.twice:
		p.lose(file, b[l.off:l.end], "its message has a line before it")
	case l.msg < 0:
		p.lose(file, b[l.off:l.end], "no message that is there can be found in it")
	case l.uid != 0 && l.uid != l.read:
		p.acc.UIDs++
		p.step("guess-uid", l.msg, 0, "give it the UID %d, the only one that is free there", l.uid)
	}
}

// number gives new UIDs to messages that had one which cannot be read any more,
// and returns the next. What has just come gets its UID as always.
func (p *planner) number(s *salvage, next uint32) uint32 {
	damaged := !s.whole
	for _, l := range s.lines {
		damaged = damaged || !l.sound || l.uid == 0
	}
	var fresh []int // in the order in which they came
	for i := range p.ix.all {
		if e := &p.ix.all[i]; damaged && p.file(i) != "" && p.uids[i] == 0 && e.bits&(bitNew|bitTwice) == 0 {
			p.uids[i] = next
			next++
			fresh = append(fresh, i)
		}
	}
	p.acc.UIDs += uint32(len(fresh))
	if len(fresh) > 1 && len(fresh) == len(p.ix.all) {
		p.step("new-uid", none, 0, "give all messages new UIDs, from %d on: those that they had cannot be read", p.uids[fresh[0]])
		return next
	}
	for _, i := range fresh {
		p.step("new-uid", i, 0, "give it the UID %d: that which it had cannot be read", p.uids[i])
	}
	return next
}
