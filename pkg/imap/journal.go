package imap

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"mailutil/pkg/mailbox"
)

// A digest tells texts apart.
type digest [16]byte

// A journal says what a delivery that was cut off has stored. It is a file of
// lines:
//
//	mailutil-imap-1 UIDVALIDITY UIDNEXT new|old   the mailbox before it began
//	UID DIGEST                                    a message that was stored
//
// The first line is durable before anything is sent. The others are not: what
// the server has from UIDNEXT on and no line tells about is read from there.
type journal struct {
	path string
	f    *os.File

	validity uint32
	next     uint32
	created  bool
	done     map[uint32]digest // by UID
	resumed  bool              // it was there already
}

const journalForm = "mailutil-imap-1 %d %d %s\n"

// openJournal opens the journal of a mailbox, whose name is canonical. nil
// without an error: another process has it, and this delivery has none.
func openJournal(stateDir, name string) (*journal, error) {
	if stateDir == "" {
		return nil, nil
	}
	dir := filepath.Join(stateDir, "imap")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(name))
	path := filepath.Join(dir, hex.EncodeToString(sum[:12])+".journal")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = sameFile(f, path) // it may have been removed before we had the lock
	}
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
		f.Close()
		return nil, nil
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	j := &journal{path: path, f: f, done: map[uint32]digest{}}
	j.readOld()
	return j, nil
}

// sameFile makes sure that path still is f.
func sameFile(f *os.File, path string) error {
	a, err := f.Stat()
	if err != nil {
		return err
	}
	b, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(a, b) {
		return fs.ErrNotExist
	}
	return nil
}

// readOld reads what an earlier delivery has left. A line that is not whole
// was being written: nothing is lost with it.
func (j *journal) readOld() {
	r := bufio.NewReader(j.f)
	var kind string
	if _, err := fmt.Fscanf(r, journalForm, &j.validity, &j.next, &kind); err != nil || kind != "new" && kind != "old" {
		return
	}
	j.resumed, j.created = true, kind == "new"
	for {
		var uid uint32
		var text string
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		var d digest
		if n, _ := fmt.Sscanf(line, "%d %s\n", &uid, &text); n != 2 || len(text) != 2*len(d) {
			continue
		}
		if _, err := hex.Decode(d[:], []byte(text)); err == nil && uid > 0 {
			j.done[uid] = d
		}
	}
}

// begin writes the first line anew, durably.
func (j *journal) begin(validity, next uint32, created bool) error {
	j.validity, j.next, j.created, j.resumed = validity, next, created, false
	j.done = map[uint32]digest{}
	kind := "old"
	if created {
		kind = "new"
	}
	if err := j.f.Truncate(0); err != nil {
		return err
	}
	if _, err := j.f.WriteAt(fmt.Appendf(nil, journalForm, validity, next, kind), 0); err != nil {
		return err
	}
	if _, err := j.f.Seek(0, 2); err != nil {
		return err
	}
	if err := j.f.Sync(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(j.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// stored notes a message that the server has stored.
func (j *journal) stored(uid uint32, d digest) error {
	if uid == 0 {
		return nil
	}
	j.done[uid] = d
	_, err := fmt.Fprintf(j.f, "%d %s\n", uid, hex.EncodeToString(d[:]))
	return err
}

// end removes the journal; keep leaves it for the next delivery.
func (j *journal) end(keep bool) error {
	var err error
	if !keep {
		err = os.Remove(j.path)
	}
	return errors.Join(err, j.f.Close())
}

// haveStored counts the texts that are in the mailbox since the journal was
// begun. It uses the connection of the delivery: a server may not give us
// another one.
func (t *delivery) haveStored() (map[digest]int, error) {
	b := &openBox{d: t.d, n: t.n, mode: mailbox.ReadOnly, ctx: t.ctx, c: t.c}
	b.pipe.b = b
	if err := b.selectBox(); err != nil {
		return nil, err
	}
	err := b.load(1)
	if err == nil && b.validity != t.journal.validity {
		err = fmt.Errorf("%w: UIDVALIDITY was %d and is %d", mailbox.ErrChanged, t.journal.validity, b.validity)
	}
	have := map[digest]int{}
	for m := range b.Messages(mailbox.All) {
		if err != nil || m.UID < t.journal.next {
			continue
		}
		sum, known := t.journal.done[m.UID]
		if !known {
			sum, err = digestOf(b, m.Seq)
		}
		have[sum]++
	}
	t.c = b.c // it may have been made anew
	if err != nil {
		return nil, err
	}
	return have, t.unselect(b)
}

func digestOf(b *openBox, seq uint32) (sum digest, err error) {
	text, err := b.Open(seq)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = text.WriteTo(h)
	copy(sum[:], h.Sum(nil))
	return sum, err
}

// unselect closes a mailbox on the connection of the delivery, as far as the
// server can; where it cannot, the mailbox is let go of at the end.
func (t *delivery) unselect(b *openBox) error {
	if err := b.pipe.drain(); err != nil {
		return err
	}
	t.c.box = nil
	if !t.c.has("UNSELECT") {
		t.selected = true
		return nil
	}
	_, err := t.c.command("UNSELECT")
	return err
}
