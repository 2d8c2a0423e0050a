// Package ops is what the commands do, as functions that return values: check,
// create, delete, rename, copy, move, append, prune. It knows formats only
// through mailbox.Driver, and neither prints nor parses options.
//
// A copy is accounted for: found = copied + skipped + failed, and the octets
// of the source are shown to be what they were. A move deletes nothing at the
// source before the target was read back and compared.
package ops
