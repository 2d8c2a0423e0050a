package ops

import (
	"slices"
	"strings"
	"unicode/utf8"

	"mailutil/pkg/internal/utf7"
	"mailutil/pkg/mailbox"
)

// An Origin is a program whose mbox files say in header fields of their own what
// other formats keep beside the text.
type Origin int

// Takeout is Gmail's export: X-Gmail-Labels has the labels of a message, and
// among them, in the language of the user, whether it was read. Thunderbird
// has flags in X-Mozilla-Status and keywords in X-Mozilla-Keys. The fields
// themselves stay in the text.
const (
	NoOrigin Origin = iota
	Takeout
	Thunderbird
)

// Mapped counts what was made of the fields of an Origin.
type Mapped struct {
	Messages                                 uint32 // that have such fields
	Seen, Answered, Flagged, Deleted, Drafts uint32
	Keywords                                 uint32 // on all messages together
	Names                                    []string
}

// A mark is what the fields of one message say.
type mark struct {
	found    bool
	flags    mailbox.SystemFlags // set
	unset    mailbox.SystemFlags
	keywords []string
}

// marks reads the fields of an Origin in a header block.
func (o Origin) marks(header []byte) mark {
	switch o {
	case Takeout:
		return takeoutMarks(header)
	case Thunderbird:
		return thunderbirdMarks(header)
	}
	return mark{}
}

// maxKeyword is how long a keyword may be.
const maxKeyword = 50

// keywordOf makes a keyword of a label: what a keyword cannot have becomes "_",
// and what is not ASCII modified UTF-7, as in names of mailboxes. What is too
// long is cut.
func keywordOf(label string) string {
	plain := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && r != '&' && !mailbox.ValidKeyword(string(r)) {
			return '_'
		}
		return r
	}, label)
	return encodeAtMost(plain, maxKeyword)
}

// encodeAtMost is a name in modified UTF-7, cut to a number of octets.
func encodeAtMost(name string, most int) string {
	for {
		if k := utf7.Encode(name); len(k) <= most {
			return k
		}
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
}

// learn finds the keywords that the fields of the origin give to the messages
// to be copied, and adds them to names.
func (c *copier) learn(names []string) ([]string, error) {
	if c.o.Origin == NoOrigin || c.o.Keywords == Drop {
		return names, nil
	}
	c.words = map[string]uint64{}
	for m, err := range c.from.Messages(c.chosen) {
		if err != nil {
			return nil, err
		}
		header, err := headerOf(c.from, m)
		if err != nil {
			return nil, err
		}
		for _, k := range c.o.Origin.marks(header).keywords {
			names = c.newWord(names, k)
		}
	}
	return names, nil
}

// newWord gives a keyword a bit, if there is room.
func (c *copier) newWord(names []string, keyword string) []string {
	key := strings.ToLower(keyword)
	if _, known := c.words[key]; known {
		return names
	}
	i := slices.IndexFunc(c.status.Keywords, func(name string) bool { return strings.EqualFold(name, keyword) })
	switch {
	case i >= 0:
		names[i] = c.status.Keywords[i]
	case len(names) < mailbox.MaxKeywords:
		i = len(names)
		names = append(names, keyword)
		c.acc.Mapped.Names = append(c.acc.Mapped.Names, keyword)
	default:
		c.words[key] = 0
		return names
	}
	if c.lost&(1<<i) != 0 { // its field stays in the text
		names[i] = ""
	}
	c.words[key] = 1 << i
	return names
}

// headerOf is the header block of a message, a view that is valid until the next
// call on the mailbox.
func headerOf(mb mailbox.Mailbox, m mailbox.Message) ([]byte, error) {
	text, err := mb.Open(m.Seq)
	if err != nil {
		return nil, inMessage(m, err)
	}
	header, err := text.Header()
	return header, inMessage(m, err)
}

// apply gives a message the flags and keywords that its fields say. lost is how
// many keywords there was no room for.
func (c *copier) apply(it *mailbox.Item, header []byte) (lost int) {
	m := c.o.Origin.marks(header)
	if !m.found {
		return 0
	}
	it.Flags.System = it.Flags.System&^m.unset | m.flags
	n := &c.acc.Mapped
	n.Messages++
	for flag, count := range map[mailbox.SystemFlags]*uint32{
		mailbox.Seen: &n.Seen, mailbox.Answered: &n.Answered, mailbox.Flagged: &n.Flagged,
		mailbox.Deleted: &n.Deleted, mailbox.Draft: &n.Drafts,
	} {
		if m.flags&flag != 0 {
			*count++
		}
	}
	if c.o.Keywords == Drop {
		return 0
	}
	for _, k := range m.keywords {
		bit := c.words[strings.ToLower(k)]
		if bit == 0 {
			lost++
			continue
		}
		if bit &^= c.lost; bit != 0 {
			it.Flags.Keywords |= bit
			n.Keywords++
		}
	}
	return lost
}
