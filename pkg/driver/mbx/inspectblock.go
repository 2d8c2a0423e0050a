package mbx

import (
	"bytes"
	"math"
	"strings"

	"mailutil/pkg/mailbox"
)

// maxShift is how far a file block may have been moved by lost or added octets.
const maxShift = 16

// recognise looks at the beginning of the file and reports what is wrong with
// the file block. start is where the records begin, -1 where none can be read.
// Nothing is reported when ok is false: the file has nothing of this format.
func (i *inspection) recognise(head []byte) (start int64, ok bool) {
	shift, found := findFirst(head)
	zeroed := len(head) > blockSize && nuls(head) >= blockSize
	behind := zeroed && found && shift == 0
	unfilled := bytes.IndexByte(head[:min(blockSize, len(head))], 0) < 0 // no block is
	found = found && !zeroed
	if found && shift < -maxShift && len(head) > blockSize && lineEnds(head[blockSize:]) > 0 && i.isAgain(head[blockSize+shift:]) {
		i.Damage("mbx.block-stale", int64(blockSize+shift), 0, "a message stands in the first %d octets that is behind them once more: names of keywords may be lost", blockSize)
		shift, i.badTable = 0, true // a sector of another place
	}
	switch {
	case i.shifted > 0 && len(head) < blockSize && !i.inPlace:
		i.Damage("mbx.block-short", i.Size, 0, "file ends within its first %d octets: no message is left", blockSize)
		return -1, true
	case i.shifted > 0:
		head = append(head, make([]byte, max(blockSize-len(head), 0))...)
		i.block, i.hasBlock = parseBlock(head)
		i.Damage("mbx.magic", 0, 0, "%s stand before the mark of the format, *mbx*: no reader knows the file", octetsOf(i.shifted))
		i.checkBlock(head)
		if i.inPlace {
			return blockSize, true
		}
		return i.shifted + i.checkTail(head, shift, found), true
	case isMbx(head):
		i.block, _ = parseBlock(head)
		i.hasBlock = true
		i.checkBlock(head)
		return i.checkTail(head, shift, found), true
	case bytes.HasPrefix(head, []byte("*mbx*\n")):
		i.Damage("mbx.lf-converted", 5, 0, "line ends are LF: the file went through a conversion of text, and all sizes in it are wrong now")
		return -1, true
	case bytes.HasPrefix(head, []byte("*mbx*\r\r\n")):
		i.Damage("mbx.lf-converted", 6, 0, "line ends are CR CR LF: the file went through a conversion of text, and all sizes in it are wrong now")
		return -1, true
	case lineEnds(head) > 0:
		i.Damage("mbx.block-lost", 0, 0, "file begins with a message: its first %d octets are lost, with the keywords, UIDVALIDITY and UIDLAST", blockSize)
		return 0, true
	case len(head) < blockSize && bytes.HasPrefix(head, []byte(magic)):
		i.Damage("mbx.block-short", int64(len(head)), 0, "file ends within its first %d octets: no message is left", blockSize)
		return -1, true
	case bytes.HasPrefix(head, []byte(magic)):
		i.badDigits(head)
	case found && (unfilled || shift < -maxShift && nuls(head) == 0 && !bytes.HasPrefix(head, []byte(magic[:1]))):
		i.Damage("mbx.block-lost", 0, 0, "beginning of the file is lost, with the keywords, UIDVALIDITY and UIDLAST, but messages follow")
		return 0, true
	case found:
		n := 0
		for n < len(magic) && head[n] == magic[n] {
			n++
		}
		i.Damage("mbx.magic", int64(n), 0, "file does not begin with the mark of the format, *mbx*, but messages follow: no reader knows it")
	case zeroed && (behind || i.told || i.hasRecords()):
		i.Damage("mbx.block-lost", 0, 0, "first %d octets are NULs, but messages follow: the keywords, UIDVALIDITY and UIDLAST are lost", blockSize)
	case i.told || !foreign(head) && i.hasChain():
		i.Damage("mbx.block-lost", 0, 0, "beginning of the file is lost, with the keywords, UIDVALIDITY and UIDLAST, but messages follow")
		return 0, true
	default:
		return 0, false
	}
	if !found {
		shift = 0
	}
	return int64(blockSize + shift), true
}

// isAgain reports whether the internal line that b begins with is behind the
// block once more. b is near the beginning of the file.
func (i *inspection) isAgain(b []byte) (again bool) {
	own := bytes.Clone(b[:bytes.IndexByte(b, '\n')+1])
	line := make([]byte, len(own))
	eachLine(i, blockSize, i.Size, func(off int64) bool { // an error comes again
		n, _ := i.ReadAt(line, off)
		again = bytes.Equal(line[:n], own)
		return !again
	})
	return again
}

// badDigits reports the first octet of a bad first line.
func (i *inspection) badDigits(head []byte) {
	what := "UIDVALIDITY"
	for n := validityOff; n < magicEnd; n++ {
		if n == uidLastOff {
			what = "UIDLAST"
		}
		if n >= magicEnd-2 || !isHex(head[n]) {
			i.Damage("mbx.block-digits", int64(n), 0, "%s in the first line is not 8 hexadecimal digits: no reader knows the file", what)
			return
		}
	}
}

// findFirst looks for an internal line where the first record should be, or a
// few octets before or behind that, or within the block: whole sectors may be
// missing, be there twice, or stand in the place of others.
func findFirst(head []byte) (shift int, found bool) {
	for end := magicEnd; end < min(len(head)-1, blockSize); end++ {
		if head[end] != '\n' {
			continue
		}
		if start := lineEndingAt(head, end+1); start >= 0 && (startsMessage(head[end+1:]) || leads(head, start, end+1)) {
			return min(start-blockSize, 0), true // what is before it may be a message, too
		}
	}
	for k := range maxShift {
		for _, shift := range []int{k, -k} {
			if at := blockSize + shift; at < len(head) && lineEnds(head[at:]) > 0 {
				return shift, true
			}
		}
	}
	if len(head) < blockSize || len(bytes.Trim(head[pidOff:blockSize], "\x00")) == 0 || string(head[blockSize-2:blockSize]) == "\r\n" && allHex(head[pidOff:blockSize-2]) {
		return 0, false // the block is whole, and a damaged line follows
	}
	for end := blockSize; end < len(head)-1; end++ {
		if head[end] != '\n' {
			continue
		}
		if start := lineEndingAt(head, end+1); start >= 0 && startsMessage(head[end+1:]) {
			return min(start-blockSize, 0), true
		}
	}
	return 0, false
}

// leads reports whether the internal line at start, with its text at text, says that
// another one follows, and that is so.
func leads(head []byte, start, text int) bool {
	l, fault := parseLine(head[start:min(len(head), start+maxLine)])
	next := int64(text) + l.size
	return fault == lineGood && next < int64(len(head)) && lineEnds(head[next:]) > 0
}

// lineEnds returns the length of the internal line, as it is written, that b
// begins with; 0 for none.
func lineEnds(b []byte) int {
	end := bytes.Index(b[:min(len(b), maxLine)], []byte("\r\n")) + 2
	if end < 2 || lineEndingAt(b, end) != 0 {
		return 0
	}
	return end
}

// checkBlock looks at UIDVALIDITY and the keywords.
func (i *inspection) checkBlock(head []byte) {
	if i.block.validity == 0 {
		i.Doubt("mbx.uidvalidity", validityOff, 0, "UIDVALIDITY is 0, which programs may refuse")
	}
	off, names := magicEnd, map[string]bool{}
	for n := range maxKeywords {
		eol := bytes.Index(head[off:blockSize], []byte("\r\n"))
		if nul := bytes.IndexByte(head[off:blockSize], 0); eol < 0 || nul >= 0 && nul < eol {
			i.badTable = true
			i.Damage("mbx.keywords", int64(off), 0, "table of keywords ends after %d of %d lines: names of keywords are lost", n, maxKeywords)
			return
		}
		name := strings.ToLower(string(head[off : off+eol]))
		switch {
		case name == "":
		case len(name) > maxName:
			i.Doubt("mbx.keyword-long", int64(off), 0, "keyword %d has %d octets, more than %d: readers know no name for it", n+1, len(name), maxName)
		case !mailbox.ValidKeyword(name):
			i.Doubt("mbx.keyword", int64(off), 0, "keyword %d has octets that no keyword can have: %.50q", n+1, name)
		case names[name]:
			i.Doubt("mbx.keyword-twice", int64(off), 0, "keyword %d has the name of another: %.50q", n+1, name)
		}
		names[name] = true
		off += eol + 2
	}
}

// checkTail looks at the end of the block and returns where the records begin:
// octets may have been lost or added within the block.
func (i *inspection) checkTail(head []byte, shift int, found bool) int64 {
	if found && shift != 0 {
		what := "are missing from"
		if shift > 0 {
			what = "too many are in"
		}
		i.Damage("mbx.block-shifted", pidOff, 0, "%s %s the first %d: what follows is not where readers look for it",
			octetsOf(int64(max(shift, -shift))), what, blockSize)
		return int64(blockSize + shift)
	}
	tail := head[pidOff:blockSize]
	used := magicEnd + len(bytes.TrimRight(head[magicEnd:pidOff], "\x00"))
	end := bytes.LastIndex(head[:used], []byte("\r\n")) + 2
	if end != used {
		i.Doubt("mbx.block-tail", int64(end), 0, "octets behind the keywords are not NUL")
	}
	if isPID := allHex(tail[:8]) && string(tail[8:]) == "\r\n"; !isPID && len(bytes.Trim(tail, "\x00")) > 0 {
		i.Doubt("mbx.block-tail", pidOff, 0, "end of the file block is neither a process id nor NULs")
	}
	return blockSize
}

// farthest is how far behind a lost beginning messages are looked for.
const farthest = 1 << 20

// foreign reports whether a file begins as one of another format.
func foreign(head []byte) bool {
	return bytes.HasPrefix(head, []byte("From ")) || bytes.HasPrefix(head, []byte("\x01\x01\x01\x01\n"))
}

// hasChain reports whether records follow each other near the beginning of the
// file: so many, or up to its end, are no text.
func (i *inspection) hasChain() bool {
	const enough = 4
	w := newWalker(i, 0, i.Size, math.MaxUint32-uidSlack)
	found := false
	eachLine(i, 0, min(i.Size, farthest), func(off int64) bool { // an error comes again
		n, err := w.links(off, enough)
		found = err == nil && n == enough
		return !found
	})
	return found
}

// findBlock returns where the file block begins: at 0, unless other octets were
// put before it.
func (i *inspection) findBlock(head []byte) int64 {
	at := bytes.Index(head, []byte(magic))
	if at <= 0 || !isBlockHead(head[at:]) {
		return 0
	}
	before := false // records are
	eachLine(bytes.NewReader(head), 0, int64(at), func(int64) bool {
		before = true
		return false
	})
	if before {
		return 0
	}
	return int64(at)
}

// hasRecords reports whether two records that follow each other are near the
// beginning of the file.
func (i *inspection) hasRecords() bool {
	w := newWalker(i, blockSize, i.Size, math.MaxUint32-uidSlack)
	found := false
	eachLine(i, blockSize, min(i.Size, farthest), func(off int64) bool { // an error comes again
		n, err := w.links(off, 2)
		found = err == nil && n >= 1
		return !found
	})
	return found
}
