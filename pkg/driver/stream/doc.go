// Package stream is mbox that is read once, front to back, or written so:
// standard input and standard output, by the name "-", and archives that are
// compressed by gzip, bzip2, xz or zstd.
//
// Recognition: "-"; a regular file that begins with the mark of one of the
// compressions, below, and has an mbox in it; and a pipe under /dev, which is how shells pass the
// output of a command as a file.
//
//	1F 8B                gzip, RFC 1952, one member or many
//	"BZh"                bzip2
//	FD "7zXZ" 00         xz
//	28 B5 2F FD          zstd, RFC 8878
//
// What comes through a pipe may be compressed as well. Inside there must be
// mbox, with LF, CR LF or both for line ends: the grammar, the separators, the
// status headers and the pseudo-message are those of package unix.
//
// Where it is said that files are Thunderbird's, plain ones are read, too, and
// their From_ lines, "From " without more, are known.
//
// Reading: Status says Streaming until the end was seen, and counts what was
// seen. Messages yields a message when all of it has arrived, and Open opens the
// one that was yielded last, as often as one likes. Of a message up to 4 MiB
// are kept in memory, and of a larger one all in a temporary file without a
// name; nothing else is kept but the index. An archive can be read again from
// its start, and is, when an earlier message is asked for; a pipe cannot.
//
// Writing: to standard output, or to a new file, which appears at Commit, under
// its name and whole (the shape "replace"). The messages are plain mbox without
// pseudo-message. Nothing is ever appended to an archive.
//
// Refused: octets that are no mbox; an archive whose octets are damaged, or end
// early (ErrCorrupt): what was yielded before is good, and a copy of it leaves
// nothing behind. Nothing is locked: a pipe belongs to us, an archive is no
// place where mail arrives.
package stream
