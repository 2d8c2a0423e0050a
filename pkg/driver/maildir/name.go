package maildir

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"mailutil/pkg/mailbox"
)

// What a file name of a message says:
//
//	1795406194.M945761P16598.vm,S=150,W=157:2,FRab
//	^base                                  ^info
//
// The base identifies the message for ever; the info changes with its flags.
const (
	infoSep   = ":2,"
	maxLetter = 26 // keyword letters, a to z
)

// letters are the flags in the order in which names have them.
var letters = [...]struct {
	letter byte
	flag   mailbox.SystemFlags
}{
	{'D', mailbox.Draft},
	{'F', mailbox.Flagged},
	{'R', mailbox.Answered},
	{'S', mailbox.Seen},
	{'T', mailbox.Deleted},
}

// baseLen is the length of the base of a name: it ends at the first colon, as
// Dovecot has it.
func baseLen(name []byte) int {
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		return i
	}
	return len(name)
}

// flagLetters are the letters in a name: what follows the last ":2,", up to a
// comma.
func flagLetters(name []byte) []byte {
	i := bytes.LastIndex(name, []byte(infoSep))
	if i < 0 {
		return nil
	}
	info := name[i+len(infoSep):]
	if j := bytes.IndexByte(info, ','); j >= 0 {
		info = info[:j]
	}
	return info
}

// parseFlags reads the flags and the keyword letters of a name, bit n for
// letter 'a'+n.
func parseFlags(name []byte) (f mailbox.SystemFlags, keywords uint32) {
	for _, c := range flagLetters(name) {
		if c >= 'a' && c <= 'z' {
			keywords |= 1 << (c - 'a')
		}
		for _, l := range letters {
			if l.letter == c {
				f |= l.flag
			}
		}
	}
	return f, keywords
}

// withFlags returns name with other flags. Letters that mean nothing to us and
// foreign fields stay.
func withFlags(name string, f mailbox.SystemFlags, keywords uint32) string {
	old := flagLetters([]byte(name))
	head, tail := name+infoSep, ""
	if i := strings.LastIndex(name, infoSep); i >= 0 {
		head, tail = name[:i+len(infoSep)], name[i+len(infoSep)+len(old):]
	}
	var set [256]bool
	for _, c := range old {
		set[c] = c < 'a' || c > 'z'
	}
	for _, l := range letters {
		set[l.letter] = f&l.flag != 0
	}
	for n := range maxLetter {
		set['a'+n] = keywords&(1<<n) != 0
	}
	out := []byte(head)
	for c := range set {
		if set[c] {
			out = append(out, byte(c))
		}
	}
	return string(out) + tail
}

// tidied returns the file "new/X" or "cur/X" with a name as programs write it,
// and why it is not so.
func tidied(file string) (tidy, why string) {
	sub, name := file[:4], file[4:]
	base, info, has, why := parted(name)
	flags, tail := info, ""
	if i := strings.IndexByte(info, ','); i >= 0 {
		flags, tail = info[:i], info[i:]
	}
	letters, odd := tidyFlags(flags)
	if clean := withoutControls(base); clean != base {
		base, odd = clean, "has octets that no list of UIDs can have"
	}
	if sub == "new/" && letters != "" {
		sub, odd = "cur/", cmp.Or(odd, "has flags, but is in new")
	}
	tidy = sub + base
	if has && (sub == "cur/" || tail != "") {
		tidy += infoSep + letters + tail
	}
	if tidy == file {
		return file, ""
	}
	return tidy, cmp.Or(why, odd, "has an info that it should not have")
}

// parted parts a name into its base and what stands behind ":2,"; has is false
// where it has no info.
func parted(name string) (base, info string, has bool, why string) {
	base, _, has = strings.Cut(name, ":")
	at := strings.LastIndex(name, infoSep)
	switch {
	case has && at >= 0:
		return base, name[at+len(infoSep):], true, ""
	case has:
		return base, "", true, "has an info that is not \":2,\": no reader sees flags in it"
	}
	if at = max(strings.LastIndex(name, ";2,"), strings.LastIndex(name, "!2,")); at <= 0 {
		return name, "", false, ""
	}
	return name[:at], name[at+len(infoSep):], true, "has flags as they are written where names cannot have a colon: no reader here sees them"
}

// tidyFlags returns flags in order, those that some program knows, once each, and
// what was wrong.
func tidyFlags(flags string) (tidy, why string) {
	var known []byte
	for _, c := range []byte(flags) {
		if strings.IndexByte("DFPRST", c) >= 0 || c >= 'a' && c <= 'z' {
			known = append(known, c)
		}
	}
	if len(known) < len(flags) {
		why = "has a flag that no program knows"
	}
	if !slices.IsSorted(known) {
		slices.Sort(known)
		why = cmp.Or(why, "has flags that are not in order")
	}
	once := slices.Compact(known)
	if len(once) < len(known) {
		why = cmp.Or(why, "has a flag twice")
	}
	return string(once), why
}

// withoutControls returns a base without octets that would end a line.
func withoutControls(base string) string {
	b := []byte(base)
	for i, c := range b {
		if c < ' ' || c == 0x7F {
			b[i] = '_'
		}
	}
	return string(b)
}

// withSizes returns a base whose ",S=" and ",W=", where it has them, are right.
func withSizes(base string, disk, crlf int64) string {
	for key, n := range map[string]int64{",S=": disk, ",W=": crlf} {
		if field([]byte(base), key[1:]) < 0 {
			continue
		}
		i := strings.Index(base, key) + len(key)
		_, rest := digits([]byte(base[i:]))
		base = base[:i] + strconv.FormatInt(n, 10) + string(rest)
	}
	return base
}

// sizes reads the ",S=" and ",W=" of a base: octets on disk and with CRLF line
// ends; -1 for what is not there.
func sizes(base []byte) (disk, crlf int64) { return field(base, "S="), field(base, "W=") }

// field reads the number behind a comma and key, -1 for none.
func field(base []byte, key string) int64 {
	for rest := base; ; {
		_, after, ok := bytes.Cut(rest, []byte(","))
		if !ok {
			return -1
		}
		if v, ok := bytes.CutPrefix(after, []byte(key)); ok {
			v, _, _ = bytes.Cut(v, []byte(","))
			n, err := strconv.ParseInt(string(v), 10, 64)
			if err != nil || n < 0 || v[0] == '+' {
				return -1
			}
			return n
		}
		rest = after
	}
}

// named is the time in a base: seconds, and the microseconds behind ".M"; 0 for
// none.
func named(base []byte) (sec, usec int64) {
	sec, rest := digits(base)
	if rest, ok := bytes.CutPrefix(rest, []byte(".M")); ok {
		usec, _ = digits(rest)
	}
	return sec, usec
}

// digits reads the decimal number that b begins with; one that is too large is
// none.
func digits(b []byte) (n int64, rest []byte) {
	i := 0
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(string(b[:i]), 10, 62)
	if err != nil {
		n = 0
	}
	return n, b[i:]
}

// A namer makes names that no other message has.
type namer struct {
	host string
	last int64 // microseconds of the name before
}

// made counts the names of this process; tag tells it from processes in other
// name spaces that have its number and the name of its host.
var (
	made atomic.Uint64
	tag  = rand.Uint32()
)

func newNamer(host string) *namer {
	for _, r := range [][2]string{{"/", `\057`}, {":", `\072`}, {",", `\054`}, {"\x00", ""}} {
		host = strings.ReplaceAll(host, r[0], r[1])
	}
	return &namer{host: host}
}

// next returns a new name. Names ascend by their times, so that every program
// that gives UIDs gives them in this order.
func (n *namer) next(now time.Time) string {
	n.last = max(now.UnixMicro(), n.last+1)
	return fmt.Sprintf("%d.M%06dP%dQ%dR%08x.%s", n.last/1e6, n.last%1e6, os.Getpid(), made.Add(1), tag, n.host)
}
