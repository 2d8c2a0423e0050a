package ops

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/rfc822"
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

// Bits of X-Mozilla-Status, in hexadecimal.
const (
	mozillaRead     = 0x0001
	mozillaReplied  = 0x0002
	mozillaMarked   = 0x0004
	mozillaExpunged = 0x0008 // deleted, until the folder is compacted
	mozillaForward  = 0x1000
)

func thunderbirdMarks(header []byte) (m mark) {
	if raw, ok := rfc822.Header(header, "X-Mozilla-Status"); ok {
		bits, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 16, 32)
		if m.found = err == nil; m.found {
			for _, f := range []struct {
				bit  uint64
				flag mailbox.SystemFlags
			}{
				{mozillaRead, mailbox.Seen},
				{mozillaReplied, mailbox.Answered},
				{mozillaMarked, mailbox.Flagged},
				{mozillaExpunged, mailbox.Deleted},
			} {
				if bits&f.bit != 0 {
					m.flags |= f.flag
				} else {
					m.unset |= f.flag
				}
			}
			if bits&mozillaForward != 0 {
				m.keywords = append(m.keywords, "$Forwarded")
			}
		}
	}
	if raw, ok := rfc822.Header(header, "X-Mozilla-Keys"); ok {
		m.found = true
		for _, word := range strings.Fields(string(raw)) {
			m.keywords = append(m.keywords, keywordOf(word))
		}
	}
	return m
}

// takeoutWords are the labels that stand for flags, in lower case, in the
// languages that Gmail writes them in.
var takeoutWords = byWord(map[mailbox.SystemFlags]string{
	mailbox.Seen: "opened,geöffnet,ouvert,messages ouverts,abierto,abiertos,aperto,aperti,aberto,abertas,geopend,otwarte," +
		"öppnad,öppnat,åbnet,åpnet,avattu,открытые,開封済み,已打开",
	mailbox.Flagged: "starred,markiert,suivis,messages suivis,destacado,destacados,speciali,com estrela,met ster," +
		"oznaczone gwiazdką,stjärnmärkt,stjernemarkeret,stjernemerket,tähdellä merkityt,помеченные,スター付き,已加星标",
	mailbox.Draft: "draft,drafts,entwurf,entwürfe,brouillon,brouillons,borrador,borradores,bozza,bozze,rascunho,rascunhos," +
		"concept,concepten,wersje robocze,utkast,kladde,kladder,luonnos,luonnokset,черновики,下書き,草稿",
	unread: "unread,ungelesen,non lu,non lus,no leído,no leídos,da leggere,non letti,não lida,não lidas,ongelezen," +
		"nieprzeczytane,oläst,olästa,ulæst,ulæste,ulest,uleste,lukematon,lukemattomat,непрочитанные,未読,未读",
})

// byWord turns lists of words into a map from each of them.
func byWord(lists map[mailbox.SystemFlags]string) map[string]mailbox.SystemFlags {
	words := map[string]mailbox.SystemFlags{}
	for flag, list := range lists {
		for word := range strings.SplitSeq(list, ",") {
			words[word] = flag
		}
	}
	return words
}

// unread is no flag: it stands for the lack of Seen.
const unread = mailbox.Recent

func takeoutMarks(header []byte) (m mark) {
	raw, ok := rfc822.Header(header, "X-Gmail-Labels")
	if !ok {
		return m
	}
	m.found = true
	m.flags |= mailbox.Seen // what is not called unread was read
	for label := range strings.SplitSeq(rfc822.Decode(raw), ",") {
		label = strings.Trim(strings.TrimSpace(label), `"`)
		flag := takeoutWords[strings.ToLower(label)]
		switch {
		case label == "":
		case flag == unread:
			m.unset |= mailbox.Seen
		case flag != 0:
			m.flags |= flag
		default:
			if k := keywordOf(label); !slices.Contains(m.keywords, k) {
				m.keywords = append(m.keywords, k)
			}
		}
	}
	m.flags &^= m.unset
	return m
}

// maxKeyword is how long a keyword may be.
const maxKeyword = 50

// keywordOf makes a keyword of a label: what a keyword cannot have becomes "_",
// and what is not ASCII modified UTF-7, as in names of mailboxes (RFC 3501,
// 5.1.3). What is too long is cut.
func keywordOf(label string) string {
	for {
		if k := encodeKeyword(label); len(k) <= maxKeyword {
			return k
		}
		_, size := utf8.DecodeLastRuneInString(label)
		label = label[:len(label)-size]
	}
}

// base64UTF7 is the alphabet of modified UTF-7.
var base64UTF7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

func encodeKeyword(label string) string {
	var out strings.Builder
	var wide []byte // UTF-16 that is not written yet
	flush := func() {
		if len(wide) > 0 {
			out.WriteString("&" + base64UTF7.EncodeToString(wide) + "-")
			wide = wide[:0]
		}
	}
	for _, r := range label {
		if r >= utf8.RuneSelf {
			for _, u := range utf16.Encode([]rune{r}) {
				wide = binary.BigEndian.AppendUint16(wide, u)
			}
			continue
		}
		flush()
		switch {
		case r == '&':
			out.WriteString("&-")
		case mailbox.ValidKeyword(string(r)):
			out.WriteRune(r)
		default:
			out.WriteByte('_')
		}
	}
	flush()
	return out.String()
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
		marks, err := c.marksOf(m)
		if err != nil {
			return nil, err
		}
		for _, k := range marks.keywords {
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
	c.words[key] = 1 << i
	return names
}

func (c *copier) marksOf(m mailbox.Message) (mark, error) {
	text, err := c.from.Open(m.Seq)
	if err != nil {
		return mark{}, inMessage(m, err)
	}
	header, err := text.Header()
	return c.o.Origin.marks(header), inMessage(m, err)
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
		it.Flags.Keywords |= bit
		n.Keywords++
	}
	return lost
}
