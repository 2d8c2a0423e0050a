package ops

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/rfc822"
)

// A sense is what a label of Gmail's own stands for. Those of users have none.
type sense int

// Senses of labels. The first ones are places in which Gmail shows a message; of
// several the first counts.
const (
	trash sense = iota + 1
	spam
	draft
	sent
	inbox
	opened
	unread
	starred
	archived
	aside // important, and what else is no place
)

// labelSenses are the labels of Gmail's own, in lower case, in the languages that
// it writes them in.
var labelSenses = byWord(map[sense]string{
	opened: "opened,geöffnet,ouvert,messages ouverts,abierto,abiertos,aperto,aperti,aberto,abertas,geopend,otwarte," +
		"öppnad,öppnat,åbnet,åpnet,avattu,открытые,開封済み,已打开",
	starred: "starred,markiert,suivis,messages suivis,destacado,destacados,speciali,com estrela,met ster," +
		"oznaczone gwiazdką,stjärnmärkt,stjernemarkeret,stjernemerket,tähdellä merkityt,помеченные,スター付き,已加星标",
	draft: "draft,drafts,entwurf,entwürfe,brouillon,brouillons,borrador,borradores,bozza,bozze,rascunho,rascunhos," +
		"concept,concepten,wersje robocze,utkast,kladde,kladder,luonnos,luonnokset,черновики,下書き,草稿",
	unread: "unread,ungelesen,non lu,non lus,no leído,no leídos,da leggere,non letti,não lida,não lidas,ongelezen," +
		"nieprzeczytane,oläst,olästa,ulæst,ulæste,ulest,uleste,lukematon,lukemattomat,непрочитанные,未読,未读",
	inbox: "inbox,posteingang,boîte de réception,recibidos,bandeja de entrada,posta in arrivo,entrada,caixa de entrada," +
		"postvak in,odebrane,inkorg,inkorgen,indbakke,innboks,saapuneet,postilaatikko,входящие,受信トレイ,收件箱",
	sent: "sent,sent mail,gesendet,envoyé,envoyés,messages envoyés,enviado,enviados,inviati,posta inviata,e-mails enviados," +
		"verzonden,verzonden berichten,wysłane,skickat,skickade,sendt,sendte,sendte mails,lähetetyt,отправленные,送信済み,送信済みメール,已发送,已发邮件",
	trash: "trash,bin,papierkorb,corbeille,papelera,cestino,lixeira,lixo,prullenbak,kosz,papperskorg,papperskorgen," +
		"papirkurv,papirkurven,roskakori,корзина,ゴミ箱,已删除邮件,回收站",
	spam: "spam,junk,courrier indésirable,correo no deseado,skräppost,søppelpost,roskaposti,спам,迷惑メール,垃圾邮件",
	archived: "archived,archiviert,archivé,archivés,messages archivés,archivado,archivados,archiviato,archiviati," +
		"arquivado,arquivados,arquivada,arquivadas,gearchiveerd,zarchiwizowane,arkiverat,arkiverade,arkiveret,arkiverede," +
		"arkivert,arkiverte,arkistoitu,arkistoidut,архивированные,в архиве,アーカイブ済み,已归档",
	aside: "important,wichtig,importants,importante,importantes,importanti,belangrijk,ważne,viktigt,viktiga,vigtig,vigtigt," +
		"viktig,tärkeä,tärkeät,важное,важные,重要,重要邮件",
})

// categories begin the names of the tabs of an inbox, in the same languages.
var categories = []string{"category", "kategorie", "catégorie", "categoría", "categoria", "categorie", "kategoria", "kategori", "luokka", "категория", "カテゴリ", "类别"}

// byWord turns lists of words into a map from each of them.
func byWord(lists map[sense]string) map[string]sense {
	words := map[string]sense{}
	for s, list := range lists {
		for word := range strings.SplitSeq(list, ",") {
			words[word] = s
		}
	}
	return words
}

func senseOf(label string) sense {
	lower := strings.ToLower(label)
	if s := labelSenses[lower]; s != 0 {
		return s
	}
	for _, word := range categories {
		if rest, ok := strings.CutPrefix(lower, word); ok && strings.HasPrefix(strings.TrimLeft(rest, ":"), " ") {
			return aside
		}
	}
	return 0
}

// labelsOf are the labels of a message, decoded; ok is false for one that Gmail
// has not written.
func labelsOf(header []byte) (labels []string, ok bool) {
	raw, ok := rfc822.Header(header, "X-Gmail-Labels")
	if !ok {
		return nil, false
	}
	for _, label := range splitLabels(rfc822.Decode(raw)) {
		if label = strings.Trim(strings.TrimSpace(label), `"`); label != "" {
			labels = append(labels, label)
		}
	}
	return labels, true
}

// splitLabels splits at commas that are not between quotes, as long as these come
// in pairs.
func splitLabels(text string) []string {
	quoted, pairs := false, strings.Count(text, `"`)%2 == 0
	return strings.FieldsFunc(text, func(r rune) bool {
		if r == '"' {
			quoted = !quoted && pairs
		}
		return r == ',' && !quoted
	})
}

func takeoutMarks(header []byte) (m mark) {
	labels, ok := labelsOf(header)
	if !ok {
		return m
	}
	m.found = true
	m.flags |= mailbox.Seen // what is not called unread was read
	for _, label := range labels {
		switch senseOf(label) {
		case opened:
		case unread:
			m.unset |= mailbox.Seen
		case starred:
			m.flags |= mailbox.Flagged
		case draft:
			m.flags |= mailbox.Draft
		default:
			if k := keywordOf(label); !slices.Contains(m.keywords, k) {
				m.keywords = append(m.keywords, k)
			}
		}
	}
	m.flags &^= m.unset
	return m
}

// unlabelled is the folder of messages that are nowhere else.
const unlabelled = "Archived"

// folderOf is the name of the one folder in which a message belongs: where Gmail
// shows it (trash, spam, drafts, sent mail, inbox), else its first label of the
// user's, else the archive.
func folderOf(header []byte) string {
	labels, _ := labelsOf(header)
	place, own, rest := "", "", unlabelled
	best := inbox + 1
	for _, label := range labels {
		switch s := senseOf(label); {
		case s == 0 && own == "":
			own = label
		case s == archived:
			rest = label
		case s > 0 && s < best:
			place, best = label, s
		}
	}
	return folderName(cmp.Or(place, own, rest))
}

// maxLevel is how long a level of the name of a folder may be, in octets: names
// of files and directories have at most 255, and something may be put to them.
const maxLevel = 200

// folderName makes the name of a mailbox of a label, of which a slash begins
// another level, in modified UTF-7, as servers of IMAP have it. What would mean
// something else at its beginning becomes "_".
func folderName(label string) string {
	levels := strings.Split(label, "/")
	for i, level := range levels {
		level = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return '_'
			}
			return r
		}, strings.TrimSpace(level))
		if level == "" || strings.ContainsRune(".#{~-", rune(level[0])) {
			level = "_" + strings.TrimPrefix(level, level[:min(1, len(level))])
		}
		levels[i] = encodeAtMost(level, maxLevel)
	}
	return strings.Join(levels, "/")
}

// errOtherLabels means that a message is not the one that was looked at.
var errOtherLabels = errors.New("its labels are not those that were read before")

// A folder is the messages of an export of Gmail that belong in it.
type folder struct {
	name     string // levels with slashes
	messages mailbox.Set
}

// folders sorts the messages of a mailbox into folders by their labels.
func (s *Session) folders(ctx context.Context, name string) (all []*folder, err error) {
	mb, err := s.open(ctx, name, mailbox.ReadOnly)
	if err != nil {
		return nil, err
	}
	defer mb.Close() // only read
	byName := map[string]*folder{}
	for m, err := range mb.Messages(mailbox.All) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		header, err := headerOf(mb, m)
		if err != nil {
			return nil, err
		}
		name := folderOf(header)
		f := byName[name]
		if f == nil {
			f = &folder{name: name}
			byName[name] = f
			all = append(all, f)
		}
		f.messages.Add(m.Seq)
	}
	slices.SortFunc(all, func(a, b *folder) int { return strings.Compare(a.name, b.name) })
	return all, nil
}
