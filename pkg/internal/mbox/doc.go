// Package mbox is the grammar of the traditional Unix mailbox: From_ lines, the
// status block, where messages begin and end, and how one is written. Package
// unix keeps such files with it, package stream reads and writes them front to
// back. Package unix describes the format.
package mbox
