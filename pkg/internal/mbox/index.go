package mbox

import (
	"fmt"

	"mailutil/pkg/mailbox"
)

// A Message is where one message is in the file, and its state: 64 octets.
type Message struct {
	From     int64 // offset of the From_ line
	Body     int64 // offset of the body
	End      int64 // of the body, without the empty line that closes it
	Size     int64 // as presented
	Keywords uint32
	UID      uint32
	Header   uint32 // length of the From_ line
	Visible  uint32 // length of the header lines that are presented, with LF
	Date     mailbox.Date
	System   mailbox.SystemFlags
	Bits     uint8
}

// Bits of a Message.
const (
	BitCR       = 1 << iota // some line of the body ends in CR LF
	BitOpen                 // the last line of the body has no LF
	BitChanged              // the status block in the file is not what it should be
	BitUIDless              // the file does not have its UID
	BitQuoted               // some line has a ">" that is taken off
	BitCounted              // its Content-Length is that of its body, and is no part of the text
	BitTornFrom             // the last line of the body would be a From_ line, if it had an LF
	BitBound                // its status block has keywords or UIDs, which mean nothing elsewhere
)

// An Index is what a scan of the file gave.
type Index struct {
	Msgs     []Message
	Pseudo   bool
	Internal Message // the pseudo-message
	Validity uint32
	Made     bool // validity was made up: the file has none
	Last     uint32
	Keywords []string
	End      int64 // offset up to which the file was scanned
	Dirty    bool  // the file should be rewritten when the session ends
	Late     bool  // UIDs are missing in the file; reason to rewrite at the next Ping only
}

// Recent counts the recent messages.
func (ix *Index) Recent() (n uint32) {
	for i := range ix.Msgs {
		if ix.Msgs[i].System&mailbox.Recent != 0 {
			n++
		}
	}
	return n
}

// Inherit takes over from the index before what the file does not hold.
func (ix *Index) Inherit(old *Index) {
	if ix.Made && old.Made {
		ix.Validity = old.Validity
	}
	i := 0
	for k := range ix.Msgs {
		m := &ix.Msgs[k]
		for i < len(old.Msgs) && old.Msgs[i].UID < m.UID {
			i++
		}
		if i < len(old.Msgs) && old.Msgs[i].UID == m.UID {
			m.System |= old.Msgs[i].System & mailbox.Recent
		}
	}
}

// Extends reports whether all messages of old have their numbers still.
func (ix *Index) Extends(old *Index) bool {
	if len(ix.Msgs) < len(old.Msgs) || ix.Validity != old.Validity {
		return false
	}
	for i := range old.Msgs {
		if ix.Msgs[i].UID != old.Msgs[i].UID {
			return false
		}
	}
	return true
}

// Bits returns the bits of keywords, which are created when asked for.
func (ix *Index) Bits(keywords []string, create bool) (bits uint64, created bool, err error) {
	for _, k := range keywords {
		i := KeywordIndex(ix.Keywords, k)
		if i < 0 && create {
			if len(ix.Keywords) == MaxKeywords || !mailbox.ValidKeyword(k) {
				return 0, false, fmt.Errorf("%w: keyword %s cannot be created", mailbox.ErrUnsupported, k)
			}
			i, created = len(ix.Keywords), true
			ix.Keywords = append(ix.Keywords, k)
		}
		if i >= 0 {
			bits |= 1 << i
		}
	}
	return bits, created, nil
}
