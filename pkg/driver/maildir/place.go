package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"mailutil/pkg/internal/node"
	"mailutil/pkg/mailbox"
)

// parts are the directories of a Maildir.
var parts = [...]string{"tmp", "new", "cur"}

// isMaildir reports whether a directory has cur, and new or tmp: archives and
// version control lose directories that are empty.
func (d *Driver) isMaildir(dir string) (bool, error) {
	missing, err := d.missing(dir)
	return len(missing) < 2 && !slices.Contains(missing, "cur"), err
}

// missing are the parts that a directory lacks.
func (d *Driver) missing(dir string) (missing []string, err error) {
	for _, part := range parts {
		fi, err := d.fs.Stat(dir + "/" + part)
		if err != nil && !node.Gone(err) {
			return nil, err
		}
		if err != nil || !fi.IsDir() {
			missing = append(missing, part)
		}
	}
	return missing, nil
}

// complete makes the part that a Maildir lacks.
func (d *Driver) complete(dir string) error {
	missing, err := d.missing(dir)
	for _, part := range missing {
		if err := d.fs.Mkdir(dir+"/"+part, d.env.Config.DirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if err == nil && len(missing) > 0 {
		err = d.fs.SyncDir(dir)
	}
	return err
}

// place is where a mailbox is, or would be made. "" is INBOX where we have none.
func (d *Driver) place(n mailbox.Name) (string, error) {
	if n.Inbox {
		return d.inbox()
	}
	if n.Path == "" {
		return "", nil
	}
	path := filepath.Clean(n.Path)
	if _, err := d.fs.Stat(path); !node.Gone(err) {
		return path, err
	}
	root, err := d.root(filepath.Dir(path))
	if err != nil || root == "" {
		return path, err
	}
	return subfolder(root, path)
}

// root is the nearest Maildir at dir or above it whose subfolders are dotted
// names in it; "" for none. That of a subfolder is the Maildir that the
// subfolder is in; a Maildir, or a directory of another kind, that lies in a Maildir
// under a plain name has plain ones below it.
func (d *Driver) root(dir string) (string, error) {
	for ; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		is, err := d.isMaildir(dir)
		if err != nil {
			return "", err
		}
		if !is && d.isPlain(dir) {
			return "", nil
		}
		if !is {
			continue
		}
		in, err := d.isMaildir(filepath.Dir(dir))
		switch {
		case err != nil:
			return "", err
		case in && strings.HasPrefix(filepath.Base(dir), "."):
			return filepath.Dir(dir), nil
		case in:
			return "", nil
		}
		return dir, nil
	}
	return "", nil
}

// isPlain reports whether something that is no Maildir is a directory that others
// can be in.
func (d *Driver) isPlain(dir string) bool {
	base := filepath.Base(dir)
	fi, err := d.fs.Stat(dir)
	return err == nil && fi.IsDir() && base[0] != '.' && !slices.Contains(parts[:], base)
}

// isSubfolder reports whether a path is that of a dotted folder of a Maildir.
func (d *Driver) isSubfolder(path string) (bool, error) {
	if filepath.Base(path)[0] != '.' {
		return false, nil
	}
	return d.isMaildir(filepath.Dir(path))
}

// subfolder is the directory of the name path below root: ROOT/A/B is
// ROOT/.A.B, and so is ROOT/.A/B. A name that is dotted already is taken as it
// is.
func subfolder(root, path string) (string, error) {
	name := strings.TrimPrefix(path, root+"/")
	levels := strings.Split(name, "/")
	if len(levels) == 1 && name[0] == '.' {
		return path, nil
	}
	first := levels[0]
	if strings.HasPrefix(first, ".") {
		levels[0] = "x" // its dots are levels
	}
	for _, l := range levels {
		if strings.Contains(l, ".") {
			return "", fmt.Errorf("%w: a dot in %s would be a level of its own below the Maildir %s", mailbox.ErrName, name, root)
		}
	}
	levels[0] = first
	return root + "/." + strings.TrimPrefix(strings.Join(levels, "."), "."), nil
}

// inboxRivals are where the other formats have an INBOX, below the home
// directory.
var inboxRivals = []string{"INBOX", "INBOX.MTX", "mail.txt", "mail.TXT", "mbox"}

// inboxDir is where INBOX is, below the home directory.
const inboxDir = "Maildir"

// inbox is where INBOX is: the configured spool where that is a Maildir, or
// ~/Maildir where there is no spool file and nothing else that is an INBOX.
func (d *Driver) inbox() (string, error) {
	fi, err := d.fs.Stat(d.env.Spool)
	switch {
	case err == nil && fi.IsDir():
		if is, err := d.isMaildir(d.env.Spool); is || err != nil {
			return d.env.Spool, err
		}
		return "", nil
	case err == nil:
		return "", nil
	case !node.Gone(err):
		return "", err
	}
	for _, name := range inboxRivals {
		if _, err := d.fs.Lstat(filepath.Join(d.env.Home, name)); err == nil {
			return "", nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	dir := filepath.Join(d.env.Home, inboxDir)
	is, err := d.isMaildir(dir)
	if !is {
		dir = ""
	}
	return dir, err
}

// hidden is the name beside dir under which it is made, or goes.
func hidden(dir, suffix string) string {
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+suffix)
}
