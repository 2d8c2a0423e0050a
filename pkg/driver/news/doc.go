// Package news reads the groups of a local news spool. Nothing in the spool is
// ever written; what was read is kept in the user's .newsrc.
//
// # Layout
//
// The name of a mailbox is #news.GROUP. The group must be the first word of a
// line of the active file (news-active-file of the configuration,
// /var/lib/news/active):
//
//	GROUP HIGHEST LOWEST FLAG
//
// and its articles are files below the spool directory (news-spool-directory,
// /var/spool/news), in a directory whose name is that of the group with "/" for
// each ".". An article is a file whose name is a number, its UID; lines end in
// LF. UIDVALIDITY is 3203398350, always. The internal date is the modification
// time, in UTC.
//
// # Seen
//
// The state file (news-state-file, ~/.newsrc) has a line for each group that the
// user has read, ":" for one that he reads and "!" for one that he left:
//
//	GROUP: 1-3,7-11
//
// Articles of a range are Seen, those above all ranges are recent. Storing Seen
// in a session that was opened for writing changes that line, and no other; all
// other flags are refused. A range covers articles that the spool has not any
// more, as the original writes it: of 3, 4, 7 and 12 with 3 and 7 read it makes
// 1-3,7-11.
//
// # Writing
//
// The state file is replaced: written beside the old one, under the flock(2)
// lock of that, synced, renamed. A power cut leaves the old file or the new one.
// Where it is a symbolic link the file that it leads to is replaced.
//
// # Tolerated and refused
//
// Files whose names are no numbers, or too large, are passed over. What cannot
// be read in the line of a group ends it, with a warning.
//
// # Differences from the original
//
// An article that was read is Seen, where the original calls it Deleted. The
// original copies the state file to .newsrc.old and writes over it. Sessions say
// that they are read-only, though Seen can be stored: no message can be added or
// removed.
package news
