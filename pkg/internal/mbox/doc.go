// Package mbox is the grammar of mailboxes that are files of messages: the
// traditional Unix mailbox with its From_ lines, and MMDF with its delimiters;
// the status block, where messages begin and end, and how one is written.
// Package mboxfile keeps such files with it. Packages unix and mmdf describe the
// formats.
package mbox
