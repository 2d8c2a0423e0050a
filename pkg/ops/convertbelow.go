package ops

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"mailutil/pkg/internal/swap"
	"mailutil/pkg/mailbox"
)

// What is in the directory of a mailbox and not part of it goes along when the
// mailbox is converted: see package swap.

// part is what package swap asks.
func (s *Session) part(format, entry string) bool {
	p, ok := s.Drivers.Named(format).(mailbox.Parent)
	return !ok || p.Part(entry)
}

// strangers lists what is in the directory of the old mailbox and not part of it.
func (v *converter) strangers() ([]string, error) {
	entries, err := os.ReadDir(v.n.Path)
	return swap.Part(v.s.part).Strangers(entries, v.c.From), err
}

// ownEntries lists what is part of the old mailbox.
func (v *converter) ownEntries() (names []string, err error) {
	entries, err := os.ReadDir(v.n.Path)
	for _, e := range entries {
		if v.s.part(v.c.From, e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// mayCarry returns why entries of the old mailbox's directory cannot be in that of
// the new one.
func (v *converter) mayCarry(names []string) error {
	if len(names) == 0 {
		return nil
	}
	to, ok := v.to.(mailbox.Parent)
	if !ok {
		return unsupported(v.n.Text, fmt.Errorf("%q in its directory is no part of it, and a mailbox of the format %s is a file, in which nothing else can be: use transfer, or a format that may have other mailboxes in it: mix, mx, maildir", names[0], v.o.To))
	}
	for _, name := range names {
		if err := v.mayCarryOne(to, name); err != nil {
			return unsupported(v.n.Text, err)
		}
	}
	return nil
}

func (v *converter) mayCarryOne(to mailbox.Parent, name string) error {
	path := filepath.Join(v.n.Path, name)
	fi, err := os.Lstat(path)
	switch {
	case err != nil: // gone meanwhile
		return nil
	case to.Part(name) || v.swap != nil && exists(filepath.Join(v.swap.Hidden, name)):
		return fmt.Errorf("%q in its directory would be taken for a part of the new mailbox, as the format %s has entries of that name: rename it first", name, v.o.To)
	case v.isDotted(path, name):
		return fmt.Errorf("it has subfolders with dots in their names (%s), which only a Maildir can have: use transfer", name)
	case fi.IsDir() && !swap.MayMove(path):
		return fmt.Errorf("%q in its directory may not be written to, without which it cannot be moved to that of the new mailbox", name)
	}
	return nil
}

// isDotted reports whether a directory in a Maildir is a subfolder by its dotted
// name, and not what somebody who was killed has left.
func (v *converter) isDotted(path, name string) bool {
	has := func(name string) bool { return exists(filepath.Join(v.n.Path, name)) }
	c, ok := v.from.(mailbox.Claimer)
	if !ok || name[0] != '.' || sideFile(name, has) && !isSubfolder(v.n.Path, name, has) {
		return false
	}
	claims, err := c.Claims(mailbox.Name{Text: path, Path: path})
	is, probeErr := v.from.Probe(mailbox.Name{Text: path, Path: path})
	return err != nil || probeErr != nil || claims && is
}

// above returns ErrBusy where another process converts a mailbox that this one is
// below. What was interrupted there is finished first.
func (v *converter) above() error {
	err := v.s.finishAbove(v.n.Path)
	if errors.Is(err, swap.ErrUnderWay) {
		return v.busy(err)
	}
	return err
}

// below returns ErrBusy where another process converts a mailbox that would go
// along.
func (v *converter) below() error {
	if !isDirectory(v.n.Path) {
		return nil
	}
	names, err := v.strangers()
	for _, name := range names {
		err = errors.Join(err, swap.Below(filepath.Join(v.n.Path, name)))
	}
	if errors.Is(err, swap.ErrUnderWay) {
		return v.busy(err)
	}
	return err
}

func (v *converter) busy(err error) error {
	return fail("convert", v.n.Text, fmt.Errorf("%w: %w", mailbox.ErrBusy, err))
}

func isDirectory(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

// DeepestFirst orders names of mailboxes so that none comes before one that is
// below it in the file system; else they stay as they are. below are, for each,
// the places of those that must be done before: what is below one must not be
// converted while that is.
func (s *Session) DeepestFirst(names []string) (ordered []string, below [][]int) {
	paths := make([]string, len(names))
	first := map[string]int{}        // of each path, for one may come twice
	above := make([]int, len(names)) // the next that must come after each, -1 for none
	for i := len(names) - 1; i >= 0; i-- {
		paths[i], above[i] = s.realPath(names[i]), -1
		if again, ok := first[paths[i]]; ok && paths[i] != "" {
			above[i] = again
		}
		first[paths[i]] = i
	}
	under := map[int][]int{}
	for i, dir := range paths {
		for above[i] < 0 && len(dir) > 1 {
			dir = filepath.Dir(dir)
			if at, ok := first[dir]; ok {
				above[i] = at
			}
		}
		under[above[i]] = append(under[above[i]], i)
	}
	var put func(above int) []int
	put = func(above int) (places []int) {
		for _, i := range under[above] {
			before := put(i)
			ordered, below = append(ordered, names[i]), append(below, before)
			places = append(places, len(ordered)-1)
		}
		return places
	}
	put(-1)
	return ordered, below
}

// realPath is where a mailbox is, without symbolic links; "" where that cannot be
// told.
func (s *Session) realPath(name string) string {
	n, err := s.Env.Resolve(name)
	if err != nil || n.Inbox || n.Space != "" {
		return ""
	}
	if real, err := filepath.EvalSymlinks(n.Path); err == nil {
		return real
	}
	return filepath.Clean(n.Path)
}
