// Package dummy stands for what has a name but no format yet: an empty file,
// an INBOX to which no mail has come, a directory.
//
// # Recognition
//
// Every regular file, every directory, and INBOX. The driver must be asked
// last: files with something in them belong to the formats, and what is left
// of them is shown by phile.
//
// # What can be done
//
//	open      an empty file or such an INBOX is an empty mailbox, of which
//	          nothing is ever written; the rest is refused
//	append    mail goes to the format for empty mailboxes, which takes the
//	          file over
//	create    an empty file, or a directory where the name ends in "/"
//	delete    files, and directories that are empty; never INBOX
//	rename    files and directories; renaming an INBOX that does not exist
//	          creates the new name
//
// # Differences from the original
//
// A rename never replaces a file. INBOX cannot be deleted here either.
package dummy
