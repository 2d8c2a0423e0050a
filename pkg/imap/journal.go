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
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A digest tells texts apart.
type digest [16]byte

// A journal says what a delivery that was cut off has stored. It is a file of
// lines:
//
//	mailutil-imap-1 UIDVALIDITY UIDNEXT new|old   the mailbox before it began
//	sent DIGEST                                   a message that is under way
//	UID DIGEST                                    one that was stored; UID 0 where the server does not tell
//	end                                           the end of the one command of MULTIAPPEND
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
	sent     map[digest]int    // that were under way when an earlier delivery was cut off
	ended    bool              // and so was all of its one command
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
	j := &journal{path: path, f: f, done: map[uint32]digest{}, sent: map[digest]int{}}
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
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		j.readLine(strings.TrimSuffix(line, "\n"))
	}
}

// readLine takes a line behind the first. One that it does not know says
// nothing.
func (j *journal) readLine(line string) {
	word, text, _ := strings.Cut(line, " ")
	if line == "end" {
		j.ended = true
		return
	}
	var d digest
	if b, err := hex.DecodeString(text); err != nil || copy(d[:], b) != len(d) {
		return
	}
	if word == "sent" {
		j.sent[d]++
		return
	}
	uid, err := strconv.ParseUint(word, 10, 32)
	if err != nil {
		return
	}
	j.sent[d]--
	if uid > 0 {
		j.done[uint32(uid)] = d
	}
}

// begin writes the first line anew, durably.
func (j *journal) begin(validity, next uint32, created bool) error {
	j.validity, j.next, j.created, j.resumed = validity, next, created, false
	j.done, j.sent, j.ended = map[uint32]digest{}, map[digest]int{}, false
	kind := "old"
	if created {
		kind = "new"
	}
	// Over what was there: at no time is there nothing.
	n, err := j.f.WriteAt(fmt.Appendf(nil, journalForm, validity, next, kind), 0)
	if err == nil {
		err = j.f.Truncate(int64(n))
	}
	if err != nil {
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

// under notes that a message is going to be sent.
func (j *journal) under(d digest) error { return j.note("sent", d) }

// stored notes a message that the server has stored; uid 0 is one that it does
// not tell.
func (j *journal) stored(uid uint32, d digest) error {
	if uid > 0 {
		j.done[uid] = d
	}
	return j.note(strconv.FormatUint(uint64(uid), 10), d)
}

func (j *journal) note(word string, d digest) error {
	_, err := j.f.WriteString(word + " " + hex.EncodeToString(d[:]) + "\n")
	return err
}

// ends notes that the end of the one command is going to be sent.
func (j *journal) ends() error {
	_, err := j.f.WriteString("end\n")
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
