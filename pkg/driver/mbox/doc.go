// Package mbox is an INBOX in the user's home directory, ~/mbox, of the format of
// package unix.
//
// # Recognition
//
// Only INBOX is of this format: where ~/mbox is a unix mailbox or an empty file,
// and the system INBOX is one of the two or not there. In a black box it never
// is. Who wants such an INBOX makes an empty ~/mbox.
//
// # New mail
//
// A session that may write moves what is in the system INBOX to the end of
// ~/mbox, when it begins and whenever it looks for new mail, and says how much it
// was. It is moved octet for octet. But where it has keywords or UIDs those are
// of the other mailbox, and so is a pseudo-message: then each message is written
// anew, with its flags and keywords. Counting counts both files and moves
// nothing.
//
// Both files are locked, the system INBOX against sessions as well: while
// somebody has it open, new mail stays there. What is moved is durable in ~/mbox
// before the system INBOX is emptied: a power cut in between doubles it, and
// nothing can lose it.
//
// # Differences from the original
//
// The original moves UIDs and pseudo-messages as they are, which makes new UIDs
// for all of ~/mbox.
package mbox
