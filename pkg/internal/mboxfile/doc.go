// Package mboxfile is what the drivers unix, mmdf and mbox have in common, which
// is all but their names: mailboxes that are one file of messages, read and
// written by package mbox, with a status block in each header.
//
// A session reads the file into an index; what it changes is written in place,
// through a journal, under the locks that the packages of the drivers describe.
package mboxfile
