// Package deliver puts one message into the mailbox of a local user: what
// tmail and dmail have in common. Tmail runs for a mail system, with the rights
// of root, and delivers to any user; dmail runs as the user whose mail it is.
//
// # The order of things
//
//	1  signals and limits are put in order, the environment is thrown away (tmail)
//	2  the user is looked up; doubt is temporary
//	3  groups, group and user are taken on, all three, for good, and verified
//	4  the message is read to its end, into memory or a file without a name
//	5  the mailbox is chosen, looked at by descriptor, and the quota command asked
//	6  the mailbox takes the message: durable before the status is 0
//
// Nothing of the file system of the user is touched before 3, no mailbox is
// opened before 4, and from 6 on no signal but a kill has any effect; a kill
// leaves the old mailbox or the new one (see package journal).
//
// # Threat model
//
// Who may be hostile, and what they can do about it:
//
// The sender of the message has its text, its envelope sender and the part of
// the recipient behind "+". Text is octets; it is never looked at but for its
// first line. A sender with control characters or ">" is refused. A folder
// name is screened, must exist, and never leads out of the home directory; the
// worst it does is to put the message into INBOX.
//
// Another user of the system may call tmail, where it is set-uid, with any
// arguments, environment, limits, open or closed descriptors and signals, and
// may make files in a spool directory that is writable by all. Such a caller
// can deliver to any user, as by mail, and nothing else: the environment is
// dropped; the limits that stop a write half way are lifted; descriptors 0 to
// 2 are opened by the runtime where they are closed, all others are closed on
// exec; only root and daemon choose formats and places. Every mailbox and side
// file is opened below a descriptor of its directory without following a
// symbolic link, and judged by its descriptor: owner, type, set-id bits, and,
// in a directory that others may write to, the number of its links. There is
// no check of a name that is used later. A file of theirs is refused, which
// delays mail, and is logged; it is never written to, and never believed.
//
// The user whose mail it is may do all this to their own mailbox. They gain
// nothing: all is done with their rights.
//
// Another process may be killed, or the machine lose power, at any instant:
// see the package of each format. Locks keep off the programs that take dot
// locks, fcntl or flock. A program that takes none of them is not kept off.
//
// Not defended against: root, the administrator's configuration, and users who
// can become the user.
//
// # Statuses
//
// See package exit. All that is not understood is temporary.
package deliver
