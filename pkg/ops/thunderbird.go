package ops

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/rfc822"
)

// Bits of X-Mozilla-Status, in hexadecimal.
const (
	mozillaRead     = 0x0001
	mozillaReplied  = 0x0002
	mozillaMarked   = 0x0004
	mozillaExpunged = 0x0008 // deleted, until the folder is compacted
	mozillaForward  = 0x1000
)

func thunderbirdMarks(header []byte) (m mark) {
	if raw, ok := rfc822.Header(header, "X-Mozilla-Status"); ok {
		bits, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 16, 32)
		if m.found = err == nil; m.found {
			m.mozilla(bits)
		}
	}
	if raw, ok := rfc822.Header(header, "X-Mozilla-Keys"); ok {
		m.found = true
		for _, word := range strings.Fields(string(raw)) {
			m.keywords = append(m.keywords, keywordOf(word))
		}
	}
	return m
}

// mozilla reads the bits of X-Mozilla-Status.
func (m *mark) mozilla(bits uint64) {
	for _, f := range []struct {
		bit  uint64
		flag mailbox.SystemFlags
	}{
		{mozillaRead, mailbox.Seen},
		{mozillaReplied, mailbox.Answered},
		{mozillaMarked, mailbox.Flagged},
		{mozillaExpunged, mailbox.Deleted},
	} {
		if bits&f.bit != 0 {
			m.flags |= f.flag
		} else {
			m.unset |= f.flag
		}
	}
	if bits&mozillaForward != 0 {
		m.keywords = append(m.keywords, "$Forwarded")
	}
}

// Thunderbird keeps what is below the folder Name in a directory Name.sbd beside
// the file Name, and an index of each folder in a file Name.msf.
const (
	subfolders  = ".sbd"
	folderIndex = ".msf"
)

// Nested is the name that a mailbox of an Origin has in a hierarchy of which the
// levels stand one behind the other: of Thunderbird's Name.sbd/Child it is
// Name/Child.
func (o Origin) Nested(name string) string {
	if o != Thunderbird {
		return name
	}
	levels := strings.Split(name, "/")
	for i := range levels[:len(levels)-1] {
		if level, ok := strings.CutSuffix(levels[i], subfolders); ok && level != "" {
			levels[i] = level
		}
	}
	return strings.Join(levels, "/")
}

// thunderbirdFolders leaves out what is no folder: the indexes of folders, and
// files that no format knows.
func (s *Session) thunderbirdFolders(all []mailbox.Entry) (folders []mailbox.Entry, leftOut []string) {
	for _, e := range all {
		n, err := s.Env.Resolve(e.Name)
		if err == nil && n.Space == "" && !n.Inbox {
			d, err := s.sources().Find(n)
			if strings.HasSuffix(e.Name, folderIndex) || err == nil && d.Name() == anyFile {
				leftOut = append(leftOut, e.Name)
				continue
			}
		}
		folders = append(folders, e)
	}
	return folders, leftOut
}

// isEmptyFile reports whether a mailbox is a file without anything in it, as
// folders of Thunderbird are that only have others below them.
func (s *Session) isEmptyFile(name string) bool {
	n, err := s.Env.Resolve(name)
	if err != nil || n.Path == "" {
		return false
	}
	fi, err := os.Stat(n.Path)
	return err == nil && fi.Mode().IsRegular() && fi.Size() == 0
}

// Nest gives mailboxes of Thunderbird, once they are converted, the names of a
// hierarchy: Name.sbd/Child becomes Name/Child, unless Name is a file. Directories
// that are empty then go. renamed is called for each, with the error, if any;
// stay is how many keep their names since a file would be above them.
func (s *Session) Nest(ctx context.Context, names []string, renamed func(from, to string, err error)) (stay int) {
	for _, from := range names {
		to := Thunderbird.Nested(from)
		if to == from || ctx.Err() != nil {
			continue
		}
		if s.isBelowFile(to) {
			stay++
			continue
		}
		err := s.Rename(ctx, from, to)
		renamed(from, to, err)
		if n, e := s.Env.Resolve(from); e == nil && err == nil {
			for dir := filepath.Dir(n.Path); strings.HasSuffix(dir, subfolders) && os.Remove(dir) == nil; dir = filepath.Dir(dir) {
			}
		}
	}
	return stay
}

// isBelowFile reports whether a file is where a directory above name has to be.
func (s *Session) isBelowFile(name string) bool {
	n, err := s.Env.Resolve(name)
	for dir := filepath.Dir(n.Path); err == nil && dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if fi, err := os.Stat(dir); err == nil {
			return !fi.IsDir()
		}
	}
	return false
}
