package numbered

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"mailutil/pkg/internal/fsx"
)

// MaxNumber is the highest number of a message: the original reads no other.
const MaxNumber = 1<<31 - 1

const (
	prefix   = ".mailutil-"
	planName = prefix + "plan"
)

// leftAfter is the age at which hidden files of killed processes are removed,
// that of tmp/ in a Maildir.
const leftAfter = 36 * time.Hour

// A Dir is such a directory. The caller holds the lock of the mailbox where a
// method changes it.
type Dir struct {
	FS   fsx.FS
	Path string
}

// A Listing is what a directory has.
type Listing struct {
	Numbers []uint32 // of the messages, ascending
	Strays  []string // names of digits that are no message: 007, a directory
	Hidden  []string // work files, the plan aside
	Plan    bool
}

// Highest returns the highest number, 0 where there is none.
func (l *Listing) Highest() uint32 {
	if len(l.Numbers) == 0 {
		return 0
	}
	return l.Numbers[len(l.Numbers)-1]
}

// AllDigits reports whether a name is taken by the format: it has digits only.
func AllDigits(name string) bool {
	return name != "" && strings.Trim(name, "0123456789") == ""
}

// Number returns the number that a file of that name has, false where it is no
// message: 1 to MaxNumber, without leading zeros.
func Number(name string) (uint32, bool) {
	if !AllDigits(name) || name[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(name, 10, 32)
	return uint32(n), err == nil && n <= MaxNumber
}

// BadName reports whether a name of a mailbox has a part that would be taken for
// a message. Of a name that begins elsewhere only the last part can be that: who
// wrote it did not choose the others.
func BadName(text string) bool {
	text = strings.TrimRight(text, "/")
	if strings.HasPrefix(text, "/") || strings.HasPrefix(text, "~") || strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../") {
		text = text[strings.LastIndexByte(text, '/')+1:]
	}
	return slices.ContainsFunc(strings.Split(text, "/"), AllDigits)
}

// IsWork reports whether a name is that of a work file.
func IsWork(name string) bool { return strings.HasPrefix(name, prefix) }

// IsPart reports whether an entry of a directory belongs to the format as a
// message, a work file, or what a change of the state file needs.
func IsPart(entry, state string) bool {
	return AllDigits(entry) || IsWork(entry) || strings.HasPrefix(entry, "."+state+".")
}

// List reads the directory, some names at a time.
func (d Dir) List() (Listing, error) {
	var l Listing
	err := fsx.ReadDir(d.FS, d.Path, func(e fs.DirEntry) { d.sort(&l, e) })
	ascend(l.Numbers)
	return l, err
}

func ascend(nums []uint32) {
	sort.Slice(nums, func(i, k int) bool { return nums[i] < nums[k] })
}

// sort puts a name where it belongs.
func (d Dir) sort(l *Listing, e fs.DirEntry) {
	name := e.Name()
	switch {
	case name == planName:
		l.Plan = true
	case IsWork(name):
		l.Hidden = append(l.Hidden, name)
	case !AllDigits(name):
	default:
		n, ok := Number(name)
		if ok && (e.Type().IsRegular() || e.Type()&fs.ModeSymlink != 0 && d.leadsToFile(name)) {
			l.Numbers = append(l.Numbers, n)
		} else {
			l.Strays = append(l.Strays, name)
		}
	}
}

// leadsToFile reports whether a symbolic link is as good as a file.
func (d Dir) leadsToFile(name string) bool {
	fi, err := os.Stat(filepath.Join(d.Path, name))
	return err == nil && fi.Mode().IsRegular()
}

// File is the path of message n.
func (d Dir) File(n uint32) string {
	return d.Path + "/" + strconv.FormatUint(uint64(n), 10)
}

func (d Dir) hidden(tag string, n uint32) string {
	return fmt.Sprintf("%s/%s%s.%d", d.Path, prefix, tag, n)
}

// staged returns the numbers of the hidden files of a change, ascending.
func (l *Listing) staged(tag string) (out []uint32) {
	for _, name := range l.Hidden {
		if rest, ok := strings.CutPrefix(name, prefix+tag+"."); ok {
			if n, ok := Number(rest); ok {
				out = append(out, n)
			}
		}
	}
	ascend(out)
	return out
}

// Tidy removes hidden files that were left by killed processes long ago.
func (d Dir) Tidy(l *Listing, now time.Time) error {
	var errs []error
	for _, name := range l.Hidden {
		path := filepath.Join(d.Path, name)
		fi, err := d.FS.Lstat(path)
		if err == nil && fi.Mode().IsRegular() && now.Sub(changed(fi)) > leftAfter {
			err = d.FS.Remove(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// RemoveAll removes all messages and work files, for a mailbox that is to go.
// other names of the format, which go last, are the caller's.
func (d Dir) RemoveAll(l *Listing) error {
	names := slices.Clone(l.Hidden)
	if l.Plan {
		names = append(names, planName)
	}
	for _, n := range l.Numbers {
		names = append(names, strconv.FormatUint(uint64(n), 10))
	}
	for _, name := range names {
		if err := d.FS.Remove(filepath.Join(d.Path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return d.FS.SyncDir(d.Path)
}
