package stream

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"os"

	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/packed"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

// windowSize is how much of a stream is looked at at once.
const windowSize = 256 << 10

// A box is an open stream.
type box struct {
	d        *Driver
	name     mailbox.Name
	path     string
	validity uint32 // UIDVALIDITY of a stream that has none

	f     *os.File     // nil for standard input
	raw   io.Reader    // f, or standard input
	again bool         // f can be read again from its start
	seen  maphash.Hash // of the octets of raw
	size  int64        // of the octets of raw, so far

	w       *winread.Window
	stop    func() // ends the unpacking
	ix      mbox.Index
	scan    mbox.Scanner
	dialect mbox.Dialect
	told    bool  // which dialect it is was said
	ended   error // why there is nothing behind the messages in ix; io.EOF for the end

	recent, unseen uint32 // of the messages in ix

	text   mbox.Content
	look   *looker // of an inspection, else nil
	closed bool
}

var (
	_ mailbox.Mailbox   = (*box)(nil)
	_ mailbox.Enveloper = (*box)(nil)
	_ mailbox.Witness   = (*box)(nil)
)

var errClosed = errors.New("mailbox is closed")

// seed makes digests comparable within this process.
var seed = maphash.MakeSeed()

// Read reads raw octets and digests them.
func (b *box) Read(p []byte) (int, error) {
	n, err := b.raw.Read(p)
	b.seen.Write(p[:n])
	b.size += int64(n)
	return n, err
}

// begin begins to read and looks whether there is mbox, up to and with the
// first message: with it the keywords come.
func (b *box) begin() error {
	b.seen.SetSeed(seed)
	b.seen.Reset()
	b.size = 0
	unpacked, stop, err := packed.Unpack(b)
	if err != nil {
		return b.fail(err)
	}
	b.stop = stop
	b.w = winread.NewStream(unpacked, windowSize)
	b.ix, b.recent, b.unseen, b.ended = mbox.Index{}, 0, 0, nil
	b.scan = mbox.Scanner{Env: b.d.env, W: b.w, Ix: &b.ix, ReadOnly: true}
	if b.look != nil {
		b.scan.Env, b.scan.Check = b.look.silent(), b.look.begin()
	}
	head, err := b.w.From(0)
	if err != nil {
		return b.fail(err)
	}
	empty := len(bytes.TrimLeft(head, "\n\r \t")) == 0
	b.scan.Bare = b.d.Thunderbird
	bare := b.scan.Bare && beginsBare(head)
	if ok, err := mbox.Probe(bytes.NewReader(head)); err != nil || !ok && !empty && !bare {
		return errors.Join(err, b.notMbox(head))
	}
	b.choose(head)
	if bare && b.dialect == mbox.AsOriginal {
		b.dialect, b.scan.Dialect, b.text.Dialect = mbox.MboxRD, mbox.MboxRD, mbox.MboxRD
	}
	if b.look != nil && !empty && head[0] != 'F' {
		b.look.Doubt("unix.leading-blank", 0, 0, "blanks or empty lines stand before the first From_ line")
	}
	b.step()
	if b.ended == io.EOF {
		return nil
	}
	return b.ended
}

// beginsBare reports whether octets begin with a From_ line without a date.
func beginsBare(b []byte) bool {
	bare, err := mbox.ProbeBare(bytes.NewReader(b))
	return bare && err == nil
}

// choose sets the dialect, and says which one it is when it was not asked for by
// name.
func (b *box) choose(head []byte) {
	if b.dialect = b.d.Dialect; b.dialect == mbox.Auto {
		var why string
		b.dialect, why = mbox.Guess(b.d.env, head, int64(len(head)) < b.w.End())
		if len(b.ix.Msgs) == 0 && !b.told {
			b.told = true
			b.d.env.Notify(mailbox.Warn, fmt.Sprintf("%s is read as %v: %s", b.called(), b.dialect, why))
		}
	}
	b.scan.Dialect, b.text.Dialect = b.dialect, b.dialect
}

// notMbox says what a stream begins with that is none of ours.
func (b *box) notMbox(head []byte) error {
	return b.fail(fmt.Errorf("%w: it begins with %.20q, not with a From line", mailbox.ErrFormat, head))
}

// called is what people call the stream.
func (b *box) called() string {
	if b.name.Space != "" {
		return "standard input"
	}
	return b.name.Text
}

// fail makes an error of what went wrong in reading.
func (b *box) fail(err error) error {
	e := &mailbox.Error{Op: "read", Driver: b.d.Name(), Name: b.called(), Off: -1, Err: err}
	if errors.Is(err, mailbox.ErrCorrupt) {
		e.Off = b.size
		e.Said = fmt.Sprintf("%s: octet %d: %v; %d messages before that are whole", b.called(), b.size, err, len(b.ix.Msgs))
	}
	return e
}

// step reads one more message into the index, or sets ended.
func (b *box) step() {
	if b.ended != nil {
		return
	}
	if err := b.w.Keep(b.ix.End); err != nil {
		b.ended = b.fail(err)
		return
	}
	more, err := b.scan.Next()
	switch {
	case err != nil:
		b.ended = b.fail(err)
	case !more:
		b.ended = io.EOF
	default:
		m := &b.ix.Msgs[len(b.ix.Msgs)-1]
		if m.System&mailbox.Recent != 0 {
			b.recent++
		}
		if m.System&mailbox.Seen == 0 {
			b.unseen++
		}
	}
}

// Status counts what was read so far.
func (b *box) Status() mailbox.Status {
	st := mailbox.Status{
		Driver: b.d.Name(), Path: b.path, Streaming: b.ended == nil && b.ix.End < b.w.End(),
		Messages: uint32(len(b.ix.Msgs)), Recent: b.recent, Unseen: b.unseen,
		UIDValidity: b.ix.Validity, UIDNext: b.ix.Last + 1, Keywords: b.ix.Keywords, ReadOnly: true,
	}
	if st.UIDValidity == 0 || b.ix.Made {
		st.UIDValidity = b.validity
	}
	return st
}

// Messages yields the messages as they arrive.
func (b *box) Messages(s mailbox.Set) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		for seq := uint32(1); ; seq++ {
			ok, err := b.reach(seq)
			if err != nil {
				yield(mailbox.Message{}, err)
				return
			}
			if !ok || s.Contains(seq) && !yield(b.message(seq), nil) {
				return
			}
		}
	}
}

func (b *box) message(seq uint32) mailbox.Message {
	m := &b.ix.Msgs[seq-1]
	return mailbox.Message{
		Seq: seq, UID: m.UID, Date: m.Date, Size: m.Size,
		Flags: mailbox.Flags{System: m.System, Keywords: uint64(m.Keywords)},
	}
}

// reach makes message seq the one that is kept; false where the stream has not
// so many.
func (b *box) reach(seq uint32) (bool, error) {
	if b.closed {
		return false, errClosed
	}
	if int(seq) < len(b.ix.Msgs) {
		if err := b.restart(); err != nil {
			return false, err
		}
	}
	for len(b.ix.Msgs) < int(seq) && b.ended == nil {
		b.step()
	}
	if len(b.ix.Msgs) < int(seq) && b.ended != io.EOF {
		return false, b.ended
	}
	return len(b.ix.Msgs) >= int(seq), nil
}

// restart begins again.
func (b *box) restart() error {
	if !b.again {
		return b.d.fail("read", b.name, fmt.Errorf("%s can be read only once, front to back", b.called()))
	}
	b.stop()
	if err := b.w.Close(); err != nil {
		return b.fail(err)
	}
	if _, err := b.f.Seek(0, io.SeekStart); err != nil {
		return b.fail(err)
	}
	return b.begin()
}

// at gets message seq.
func (b *box) at(seq uint32) (mbox.Message, error) {
	ok, err := false, error(nil)
	if seq > 0 {
		ok, err = b.reach(seq)
	}
	if err != nil {
		return mbox.Message{}, err
	}
	if !ok {
		return mbox.Message{}, b.d.fail("read", b.name, fmt.Errorf("no message %d", seq))
	}
	return b.ix.Msgs[seq-1], nil
}

// Open opens the message that was yielded last; another of an archive means
// that it is read again from its start.
func (b *box) Open(seq uint32) (mailbox.Content, error) {
	m, err := b.at(seq)
	if err != nil {
		return nil, err
	}
	b.text.Reset(b.w, m)
	return &b.text, nil
}

// Sender returns the sender on the From_ line of message seq.
func (b *box) Sender(seq uint32) (string, error) {
	m, err := b.at(seq)
	if err != nil {
		return "", err
	}
	ln, err := b.w.Line(m.From)
	if err != nil {
		return "", err
	}
	f, _ := mbox.ParseFrom(ln)
	return string(f.Sender), nil
}

// Store is refused.
func (b *box) Store(mailbox.Set, mailbox.FlagOp, mailbox.FlagList) error {
	return b.d.fail("store", b.name, mailbox.ErrReadOnly)
}

// Expunge is refused.
func (b *box) Expunge(mailbox.Set) (int, error) {
	return 0, b.d.fail("expunge", b.name, mailbox.ErrReadOnly)
}

// Ping sees nothing: a stream has what it has.
func (b *box) Ping() (bool, error) {
	if b.closed {
		return false, errClosed
	}
	return false, nil
}

// Witness has nothing to do: all raw octets are digested.
func (b *box) Witness() {}

// Witnessed returns the digest of the raw octets, of which those behind the
// packed ones are read now.
func (b *box) Witnessed() (mailbox.Proof, error) {
	if _, err := io.Copy(io.Discard, b); err != nil {
		return mailbox.Proof{}, b.fail(err)
	}
	return mailbox.Proof{Size: b.size, Digest: b.seen.Sum64(), Now: b.size}, nil
}

// Prove digests an archive as it is now. What came through a pipe is what was
// read: there is nothing that could have changed.
func (b *box) Prove() (mailbox.Proof, error) {
	if !b.again {
		return b.Witnessed()
	}
	fi, err := b.f.Stat()
	if err != nil {
		return mailbox.Proof{}, b.fail(err)
	}
	var sum maphash.Hash
	sum.SetSeed(seed)
	n, err := io.Copy(&sum, io.NewSectionReader(b.f, 0, min(b.size, fi.Size())))
	if err != nil {
		return mailbox.Proof{}, b.fail(err)
	}
	return mailbox.Proof{Size: n, Digest: sum.Sum64(), Now: fi.Size()}, nil
}

// Close gives up what is kept. Standard input stays open.
func (b *box) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	var err error
	if b.w != nil {
		b.stop()
		err = b.w.Close()
	}
	if b.f != nil {
		err = errors.Join(err, b.f.Close())
	}
	return err
}
