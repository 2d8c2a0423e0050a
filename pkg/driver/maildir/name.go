package maildir

import (
	"bytes"
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

// tidied returns the file "new/X" or "cur/X" with flags as programs write them,
// and why they are not so.
func tidied(file string) (tidy, why string) {
	sub, name := file[:4], file[4:]
	base, _, has := strings.Cut(name, ":")
	at, info := strings.LastIndex(name, infoSep), ""
	switch {
	case has && at >= 0:
		info = name[at+len(infoSep):]
	case has:
		why = "has an info that is not \":2,\": no reader sees flags in it"
	default:
		if at = max(strings.LastIndex(name, ";2,"), strings.LastIndex(name, "!2,")); at <= 0 {
			return file, ""
		}
		base, info, why = name[:at], name[at+len(infoSep):], "has flags as they are written where names cannot have a colon: no reader here sees them"
	}
	flags, tail := info, ""
	if i := strings.IndexByte(info, ','); i >= 0 {
		flags, tail = info[:i], info[i:]
	}
	known := strings.Map(func(c rune) rune {
		if strings.ContainsRune("DFPRST", c) || c >= 'a' && c <= 'z' {
			return c
		}
		return -1
	}, flags)
	b := []byte(known)
	slices.Sort(b)
	b = slices.Compact(b)
	if sub == "new/" && len(b) > 0 {
		sub = "cur/"
	}
	tidy = sub + base + infoSep + string(b) + tail
	if sub == "new/" && tail == "" {
		tidy = sub + base
	}
	switch {
	case tidy == file:
		return file, ""
	case why != "":
	case known != flags:
		why = "has a flag that no program knows"
	case len(b) < len(known):
		why = "has a flag twice"
	case string(b) != known:
		why = "has flags that are not in order"
	case sub != file[:4]:
		why = "has flags, but is in new"
	default:
		why = "has an info that it should not have"
	}
	return tidy, why
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
