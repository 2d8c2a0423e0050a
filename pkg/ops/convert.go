package ops

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"mailutil/pkg/internal/swap"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// ConvertOptions say how to convert.
type ConvertOptions struct {
	To           string // format
	DropOriginal bool   // do not keep the original as NAME.orig

	// KeywordFields puts keywords that the format has no room for into a field
	// X-Keywords of the messages. Without it such a mailbox is left alone.
	KeywordFields bool

	// LoseUIDs allows a format that keeps no UIDs for a mailbox that has them.
	LoseUIDs bool

	Origin   Origin          // as in CopyOptions
	Progress func(Progress)  // as in CopyOptions
	Except   func(Exception) // as in CopyOptions
}

// A Conversion is what became of one mailbox.
type Conversion struct {
	Account          // its Target is the name, its Source the path
	From, To  string // formats
	Already   bool   // it had the format, or Belongs
	Belongs   bool   // it is part of another mailbox, or was kept of one: there is nothing to do
	Kept      string // path of the original, "" where it was not kept
	Recovered string // what an interrupted conversion had left, and what was done about it
	UIDsNew   bool   // the format that it had keeps no UIDs
	Late      uint32 // messages that others put into the original meanwhile, or into the new one in the old format
}

// Why a mailbox is not converted.
var (
	errOwnPlace = errors.New(`INBOX has another place in each format: use move --keep-uids INBOX "#driver.FORMAT/INBOX"`)
	errSpool    = errors.New(`a system mailbox stays in unix or mmdf format, in which mail is delivered: its user can move INBOX to "#driver.FORMAT/INBOX"`)
	errNoHold   = errors.New("deliveries cannot be kept out of mailboxes of this format: use copy or transfer")
	errLinked   = errors.New("it has other names (hard links), which would stay with the original")
	errKeywords = errors.New("it has more keywords than the format has room for: see --keywords-overflow")
	errForgets  = errors.New("the format keeps no UIDs, so that clients would fetch everything again: see --lose-uids")
	errNotWhole = errors.New("the format cannot hold all messages")
)

// Convert changes the format of a mailbox in place. Its locks are held all the
// time, so that deliveries wait. The new mailbox is made beside it, with its
// UIDs, UIDVALIDITY, UIDNEXT, flags, keywords, dates, owner, group, mode and
// times, is read back and compared, and only then gets the name (package swap).
// Any error before that leaves the mailbox as it was. ErrBusy names who has it
// open.
func (s *Session) Convert(ctx context.Context, name string, o ConvertOptions) (c Conversion, err error) {
	c = Conversion{To: o.To, Account: Account{Target: name}}
	n, err := s.Env.Resolve(name)
	switch {
	case err != nil:
		return c, err
	case n.Inbox:
		return c, unsupported(name, errOwnPlace)
	case n.Space != "":
		return c, unsupported(name, errNoHold)
	}
	if real, err := filepath.EvalSymlinks(n.Path); err == nil {
		n.Path = real
	}
	n.Path = strings.TrimRight(n.Path, "/")
	c.Source = n.Path
	switch {
	case s.belongs(n.Path):
		c.Belongs, c.Already = true, true
		return c, nil
	case s.inSpool(n.Path) && o.To != "unix" && o.To != "mmdf":
		return c, unsupported(name, errSpool)
	}
	cv := &converter{s: s, o: o, n: n, c: &c}
	if s.DryRun {
		return c, cv.pretend(ctx)
	}
	return c, cv.run(ctx)
}

// inSpool reports whether a file is one of the system mailboxes, where these have a
// directory that is not below the home directory.
func (s *Session) inSpool(path string) bool {
	dir := filepath.Dir(s.Env.Spool)
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return filepath.Dir(path) == dir && s.Env.BlackBox == "" && !strings.HasPrefix(dir+"/", strings.TrimRight(s.Env.Home, "/")+"/")
}

func unsupported(name string, why error) error {
	return fail("convert", name, fmt.Errorf("%w: %w", mailbox.ErrUnsupported, why))
}

// A converter is one conversion under way.
type converter struct {
	s    *Session
	o    ConvertOptions
	n    mailbox.Name // its Path is no symbolic link
	c    *Conversion
	from mailbox.Driver
	to   mailbox.Appender
	held mailbox.Mailbox
	look fs.FileInfo // of the original, once others were waited for
	own  []string    // what was in its directory then, and is part of it
	read stamps      // its times before it was read
	swap *swap.Swap
	wait *swap.Waiters // for the lock file that others know the mailbox by
}

// pretend looks whether the mailbox could be converted.
func (v *converter) pretend(ctx context.Context) error {
	if err := v.formats(); err != nil || v.c.Already {
		return err
	}
	if err := v.possible(); err != nil {
		return err
	}
	mb, err := v.from.Open(ctx, v.n, mailbox.ReadOnly)
	if err != nil {
		return err
	}
	defer mb.Close() // only read
	v.c.Found = mb.Status().Messages
	if err := v.mayLoseUIDs(); err != nil {
		return err
	}
	c := &copier{from: mb, acc: &v.c.Account, chosen: mailbox.Range(1, v.c.Found)}
	return c.pretend(ctx)
}

func (v *converter) run(ctx context.Context) (err error) {
	if err := v.above(); err != nil {
		return err
	}
	if !exists(v.n.Path) && !swap.Left(v.n.Path) {
		return fail("open", v.n.Text, mailbox.ErrNotExist)
	}
	// Most mailboxes of a site that is converted once more need nothing: they
	// are not written beside.
	if err := v.formats(); err != nil && !errors.Is(err, mailbox.ErrNotExist) || v.c.Already && !swap.Left(v.n.Path) {
		return err
	}
	v.swap, v.c.Recovered, err = swap.Begin(v.n.Path, v.s.part)
	if errors.Is(err, swap.ErrUnderWay) {
		return v.busy(err)
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) { // of the directory
		return fail("convert", v.n.Text, err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.swap.End()) }()
	for _, path := range v.swap.Interrupted() {
		if err := v.clearLock(ctx, path); err != nil {
			return err
		}
	}
	if err := v.above(); err != nil { // who began since then sees our record
		return err
	}
	for tries := 0; ; tries++ {
		if err := v.formats(); err != nil || v.c.Already {
			return err
		}
		// The first mail for an empty file gives it a format.
		if err = v.convert(ctx); !errors.Is(err, errNotHeld) || tries == maxTries || ctx.Err() != nil {
			return err
		}
	}
}

// clearLock removes the lock file of a dead process, by taking it and giving it
// up: the new format may have no use for it, but others would wait.
func (v *converter) clearLock(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	env := v.s.Env
	held, err := lock.Dot(lock.Options{
		Timeout: deadLock, Stale: env.Config.DotLockTimeout, Mode: env.Config.LockMode, NoWarn: true,
		Notify: func(text string) { env.Notify(mailbox.Warn, text) },
	}).Lock(ctx, f, lock.Exclusive)
	if errors.Is(err, lock.ErrBusy) { // by somebody who lives
		return nil
	}
	if err != nil {
		return err
	}
	return held.Release()
}

// deadLock is how long the lock of a process that may be dead is waited for.
const deadLock = 10 * time.Second

// maxTries is how often the format of a mailbox is found anew.
const maxTries = 5

// errNotHeld means that the mailbox was another when its locks were to be had.
var errNotHeld = errors.New("it was changed before its locks were to be had")

// formats finds the drivers.
func (v *converter) formats() (err error) {
	if v.from, err = v.s.Drivers.Find(v.n); err != nil {
		return err
	}
	if v.c.Already = v.from.Name() == v.o.To; !v.c.Already && v.s.Sources != nil {
		if v.from, err = v.s.sources().Find(v.n); err != nil {
			return err
		}
	}
	v.c.From = v.from.Name()
	fi, err := os.Stat(v.n.Path)
	if err != nil {
		return err
	}
	switch {
	case v.from.Name() == anyFile:
		return fail("convert", v.n.Text, mailbox.ErrFormat)
	case v.from.Name() == "dummy" && fi.IsDir():
		return fail("convert", v.n.Text, mailbox.ErrNotMailbox)
	}
	var ok bool
	if v.to, ok = v.s.Drivers.Named(v.o.To).(mailbox.Appender); !ok {
		return fail("convert", "#driver."+v.o.To+"/", mailbox.ErrUnsupported)
	}
	return nil
}

// mayLoseUIDs returns an error where messages would lose their UIDs and nobody
// has allowed it.
func (v *converter) mayLoseUIDs() error {
	had, keeps := !v.s.forgetsUIDs(v.c.From), !v.s.forgetsUIDs(v.o.To)
	v.c.UIDsNew = !had && keeps && v.c.Found > 0
	if had && !keeps && v.c.Found > 0 && !v.o.LoseUIDs {
		return unsupported(v.n.Text, errForgets)
	}
	return nil
}

// possible returns why the mailbox cannot be replaced by another.
func (v *converter) possible() error {
	if _, ok := v.from.(mailbox.Holder); !ok {
		return unsupported(v.n.Text, errNoHold)
	}
	fi, err := os.Stat(v.n.Path)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		if links(fi) > 1 {
			return unsupported(v.n.Text, errLinked)
		}
		return nil
	}
	carry, err := v.strangers()
	if err != nil {
		return err
	}
	return v.mayCarry(carry)
}

// convert does the work with the mailbox held.
func (v *converter) convert(ctx context.Context) (err error) {
	if err := v.possible(); err != nil {
		return err
	}
	if err := v.below(); err != nil {
		return err
	}
	if err := v.hold(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.release()) }()
	defer v.wait.Close()
	st := v.held.Status()
	v.c.Found, v.c.Failed = st.Messages, st.Messages
	if err := v.mayLoseUIDs(); err != nil {
		return err
	}
	if err = v.build(ctx, st); err == nil && !v.c.Already {
		v.c.Kept, err = v.replace()
	}
	if err != nil {
		v.c.Copied, v.c.Skipped, v.c.Failed = 0, 0, v.c.Found
		return err
	}
	if v.c.Already {
		return nil
	}
	v.read.restore(v.c.Kept)
	return v.follow(ctx, st.UIDNext)
}

// hold takes the locks and notes what the mailbox looks like.
func (v *converter) hold(ctx context.Context) error {
	fi, err := os.Stat(v.n.Path)
	if err != nil {
		return err
	}
	v.held, err = v.from.(mailbox.Holder).Hold(ctx, v.n)
	if errors.Is(err, mailbox.ErrChanged) || errors.Is(err, mailbox.ErrFormat) {
		return fmt.Errorf("%w: %w", errNotHeld, err)
	}
	if err != nil {
		return err
	}
	if v.look, err = os.Stat(v.n.Path); err == nil && v.look.IsDir() {
		v.own, err = v.ownEntries()
	}
	if err != nil {
		return errors.Join(err, v.held.Close())
	}
	v.wait = swap.Watch(v.n.Path)
	v.read = stamps{timesOf(fi).access, v.look.ModTime()}
	return nil
}

// release gives up the locks where they are still held: on the original.
func (v *converter) release() error {
	if v.held == nil {
		return nil
	}
	v.read.restore(v.n.Path)
	return v.held.Close()
}

// follow gives up the locks on the original, which has gone, sees to what others
// add to it nevertheless, whose UIDs would begin at next, and removes it where it
// is not wanted.
func (v *converter) follow(ctx context.Context, next uint32) error {
	held := v.held
	v.held = nil
	made, err := os.Stat(v.n.Path)
	if err = errors.Join(err, held.Close()); err != nil {
		return err
	}
	if v.wait.Came() {
		if err := v.settle(ctx, made); err != nil {
			return fmt.Errorf("it is converted, but another program may have written to it in %s format: %w", v.c.From, err)
		}
	}
	quiet, err := swap.Quiet(ctx, v.c.Kept, quietWait)
	if err == nil {
		err = v.late(ctx, next)
	}
	if err != nil {
		return fmt.Errorf("it is converted, but mail may have arrived in %s meanwhile: %w", v.c.Kept, err)
	}
	if !quiet {
		v.s.Env.Notify(mailbox.Warn, fmt.Sprintf("%s is still open in another program, and is kept: what that adds to it is not in the new mailbox", v.c.Kept))
		return nil
	}
	return v.drop()
}

// build makes the new mailbox under its hidden name and compares it.
func (v *converter) build(ctx context.Context, st mailbox.Status) error {
	all := v.newCopier(st, KeepAll)
	if err := v.fill(ctx, all); err != nil {
		return err
	}
	if all.acc.Altered.Keywords > 0 { // perhaps for keywords that nothing bears
		all = v.newCopier(st, KeepBorne)
		if err := v.fill(ctx, all); err != nil {
			return err
		}
	}
	if all.acc.Altered.Keywords > 0 {
		lost, err := v.withoutRoom(ctx, all)
		if err != nil {
			return err
		}
		all = v.newCopier(st, KeepBorne)
		all.lost = lost
		if err := v.fill(ctx, all); err != nil {
			return err
		}
	}
	if err := v.check(ctx, all, st); err != nil || v.c.Already {
		return err
	}
	for _, e := range all.acc.Exceptions {
		if v.o.Except != nil {
			v.o.Except(e)
		}
	}
	return dress(v.swap.Hidden, v.look, v.read)
}

// newCopier begins the account anew.
func (v *converter) newCopier(st mailbox.Status, k KeywordMode) *copier {
	at := v.n
	at.Path = v.swap.Hidden
	v.c.Account = Account{Source: v.c.Source, Target: v.c.Target, Found: st.Messages, Failed: st.Messages}
	c := &copier{s: v.s, from: v.held, status: st, acc: &v.c.Account, at: &at, chosen: mailbox.Range(1, st.Messages)}
	c.o = CopyOptions{Create: true, KeepUIDs: true, Verify: true, Keywords: k, Origin: v.o.Origin, Progress: v.o.Progress}
	renewed := time.Now()
	c.tick = func() error {
		if time.Since(renewed) < renewEvery {
			return nil
		}
		renewed = time.Now()
		_, err := v.held.Ping()
		return err
	}
	return c
}

// renewEvery is how often locks are kept from growing stale.
const renewEvery = 20 * time.Second

// fill writes the hidden mailbox.
func (v *converter) fill(ctx context.Context, c *copier) (err error) {
	if err := os.RemoveAll(v.swap.Hidden); err != nil {
		return err
	}
	ao := mailbox.AppendOptions{New: true, UIDValidity: c.status.UIDValidity, UIDNext: c.status.UIDNext}
	if ao.Keywords, err = c.targetKeywords(); err != nil {
		return err
	}
	if c.to, err = v.to.Append(ctx, *c.at, ao); err != nil {
		return err
	}
	defer c.to.Abort() // a no-op after Commit
	if err := c.run(ctx, v.n.Text); err != nil {
		return err
	}
	switch {
	case c.acc.SourceGrew > 0:
		return fail("convert", v.n.Text, fmt.Errorf("%w: somebody wrote to it without its locks", mailbox.ErrChanged))
	case c.acc.Copied != c.acc.Found:
		return unsupported(v.n.Text, errNotWhole)
	}
	return nil
}

// withoutRoom returns the keywords that the new mailbox has no room for, as
// bits of the old one.
func (v *converter) withoutRoom(ctx context.Context, c *copier) (lost uint64, err error) {
	if !v.o.KeywordFields {
		return 0, unsupported(v.n.Text, errKeywords)
	}
	mb, err := c.reopenTarget(ctx, "")
	if err != nil {
		return 0, err
	}
	there := map[string]bool{}
	for _, name := range mb.Status().Keywords {
		there[strings.ToLower(name)] = true
	}
	for i, name := range c.names {
		if name != "" && !there[strings.ToLower(name)] {
			lost |= 1 << i
		}
	}
	return lost, mb.Close()
}

// check compares the new mailbox with the old one, message by message.
func (v *converter) check(ctx context.Context, c *copier, st mailbox.Status) error {
	d, err := v.s.Drivers.Find(*c.at)
	if err != nil {
		return err
	}
	if st.Messages == 0 && d.Name() == v.c.From { // an empty file stays one
		v.c.Already = true
		return nil
	}
	if d.Name() != v.o.To && st.Messages > 0 {
		return fmt.Errorf("%w: the new mailbox reads as %s", ErrUnproven, d.Name())
	}
	if err := c.verify(ctx, ""); err != nil {
		return fmt.Errorf("%w: %w", ErrUnproven, err)
	}
	mb, err := d.Open(ctx, *c.at, mailbox.ReadOnly)
	if err != nil {
		return err
	}
	got := mb.Status()
	if err := mb.Close(); err != nil {
		return err
	}
	c.acc.UIDsLost = v.s.forgetsUIDs(v.o.To)
	switch {
	case !c.acc.UIDsLost && got.UIDValidity != st.UIDValidity:
		return fmt.Errorf("%w: UIDVALIDITY is %d, not %d", ErrUnproven, got.UIDValidity, st.UIDValidity)
	case got.Messages != st.Messages:
		return fmt.Errorf("%w: there are %d messages, not %d", ErrUnproven, got.Messages, st.Messages)
	case !c.acc.UIDsLost && got.UIDNext < st.UIDNext:
		return fmt.Errorf("%w: UIDNEXT is %d, not %d", ErrUnproven, got.UIDNext, st.UIDNext)
	}
	return nil
}

// replace gives the new mailbox the name, unless somebody changed the old one.
func (v *converter) replace() (kept string, err error) {
	switch same, err := v.unchanged(); {
	case err != nil:
		return "", err
	case !same:
		return "", fail("convert", v.n.Text, fmt.Errorf("%w: somebody wrote to it without its locks", mailbox.ErrChanged))
	}
	o := swap.Order{Drop: v.o.DropOriginal, From: v.c.From, To: v.o.To}
	if v.look.IsDir() {
		if o.Carry, err = v.strangers(); err == nil {
			err = v.mayCarry(o.Carry)
		}
		if err != nil {
			return "", err
		}
	}
	kept, err = v.swap.Swap(o)
	if err == nil && len(o.Carry) > 0 {
		v.read.restore(v.n.Path)
	}
	for _, name := range v.swap.Stayed {
		v.s.Env.Notify(mailbox.Warn, fmt.Sprintf("%q has stayed in %s: something else has got that name in %s meanwhile", name, kept, v.n.Path))
	}
	return kept, err
}

// unchanged reports whether the old mailbox is what it was when its locks were
// taken. The times of a directory change as well with the mailboxes in it.
func (v *converter) unchanged() (bool, error) {
	now, err := os.Stat(v.n.Path)
	if err != nil || !os.SameFile(now, v.look) {
		return false, err
	}
	if now.Size() == v.look.Size() && now.ModTime().Equal(v.look.ModTime()) {
		return true, nil
	}
	if !now.IsDir() {
		return false, nil
	}
	own, err := v.ownEntries()
	return slices.Equal(own, v.own), err
}

// quietWait is how long is waited for those who have the original open, to see
// what they add to it.
const quietWait = 10 * time.Second

// late copies messages that are in the original now and were not before: some programs wait for the locks of a file that is
// open already, and do not look whether it has kept its name; those that deliver
// into a Maildir take none.
func (v *converter) late(ctx context.Context, next uint32) (err error) {
	at := v.n
	at.Path = v.c.Kept
	mb, err := v.from.(mailbox.Holder).Hold(ctx, at)
	if err != nil {
		return err
	}
	defer func() {
		v.read.restore(v.c.Kept)
		err = errors.Join(err, mb.Close())
	}()
	var acc Account
	var came mailbox.Set
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			return err
		}
		if m.UID >= next {
			came.Add(m.Seq)
			acc.Found++
		}
	}
	if acc.Found == 0 {
		return nil
	}
	acc.Failed = acc.Found
	c := &copier{s: v.s, from: mb, status: mb.Status(), acc: &acc, chosen: came, o: CopyOptions{Verify: true}}
	if err := c.openTarget(ctx, v.n.Text); err != nil {
		return err
	}
	defer c.to.Abort() // a no-op after Commit
	if err := c.run(ctx, v.n.Text); err != nil {
		return err
	}
	v.c.Late += acc.Copied
	return c.verify(ctx, v.n.Text)
}

// Programs that wait for a lock file try again each second.
const (
	settleWait  = 1200 * time.Millisecond // for the first of them
	settlePause = 50 * time.Millisecond   // between two looks
)

// settle waits for what those write to the new mailbox who wait for its lock file:
// the original decides on the format before it waits. What is in mbox format then
// becomes messages of it. made is the mailbox as it was put there.
func (v *converter) settle(ctx context.Context, made fs.FileInfo) error {
	if made.IsDir() { // nobody writes to that as to a file
		return nil
	}
	now := made
	for end := time.Now().Add(settleWait); time.Now().Before(end); time.Sleep(settlePause) {
		if err := ctx.Err(); err != nil {
			return err
		}
		fi, err := os.Stat(v.n.Path)
		if err != nil {
			return err
		}
		if fi.Size() != now.Size() { // another may wait for this one
			now, end = fi, time.Now().Add(settleWait)
		}
	}
	if now.Size() == made.Size() {
		return nil
	}
	mb, err := v.s.open(ctx, v.n.Text, mailbox.ReadOnly)
	if err == nil {
		return mb.Close()
	}
	if !errors.Is(err, mailbox.ErrCorrupt) {
		return err
	}
	r, err := v.s.Repair(ctx, v.n.Text, RepairOptions{}, func(mailbox.Finding) {}, func(st mailbox.Step) {
		if st.Action == mailbox.TakeIn {
			v.c.Late++
		}
	})
	if err != nil {
		return err
	}
	v.s.Env.Notify(mailbox.Warn, fmt.Sprintf("%s got mail in %s format after its conversion: %s; as it was it is %s",
		v.n.Text, v.c.From, r.Account, r.Files.Original))
	return nil
}

// drop removes the original where it is not wanted.
func (v *converter) drop() error {
	if !v.o.DropOriginal {
		return nil
	}
	dropped, err := v.swap.Drop(v.c.Kept, v.c.From)
	switch {
	case err != nil:
		return err
	case dropped:
		v.c.Kept = ""
	default:
		v.s.Env.Notify(mailbox.Warn, fmt.Sprintf("%s has other mailboxes in it, and is kept", v.c.Kept))
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
