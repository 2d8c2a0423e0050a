// Package mailbox is the vocabulary of the toolbox: what a mailbox, a message,
// a flag, a name and a driver are. It knows no format and no command; formats
// implement Driver, commands use it.
//
// Read mailbox.go first. A copy is, in one line:
//
//	for m := range src.Messages(All) { c, _ := src.Open(m.Seq); d.Add(Item{Message: m, Text: c}) }
//
// Terms are those of RFC 3501: internal date, keyword, UID, UIDVALIDITY,
// expunge, recent.
package mailbox
