// Package ops is what the commands do, as functions that return values: check,
// create, delete, rename, copy, move, append, prune. It knows formats only
// through mailbox.Driver, and neither prints nor parses options.
//
// A copy is accounted for: found = copied + skipped + failed, and the octets
// of the source are shown to be what they were. A move deletes nothing at the
// source before the target was read back and compared.
//
// A conversion puts the new mailbox in the place of the old one (package swap).
// Mailboxes in the directory of the old one go along; for an instant, or after a
// kill until the next run, nothing has their names, and who delivers to one does
// not find it: tmail and dmail then put the message into INBOX.
package ops
