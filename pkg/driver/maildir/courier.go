package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strconv"
	"strings"

	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Courier keeps keywords beside the messages: a list of all, and one file for
// each message that was changed since.
const (
	courierDir  = "courierimapkeywords"
	courierList = ":list"
	maxCourier  = 64 << 20
)

// courierKeywords are the keywords of messages by their bases.
type courierKeywords map[string][]string

// readCourier reads the keywords of a mailbox that Courier has kept; nil where
// it has not.
func (d *Driver) readCourier(dir string) (courierKeywords, error) {
	dir += "/" + courierDir
	fi, err := d.fs.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || !fi.IsDir() {
		return nil, err
	}
	b, err := d.readSmall(dir+"/"+courierList, maxCourier)
	if err = ignoreGone(err); err != nil {
		return nil, err
	}
	all := parseCourier(b)
	newest := map[string]string{}
	err = d.readNames(dir, func(name string) {
		if base, ok := courierChange(name); ok && newest[base] < name {
			newest[base] = name
		}
	})
	for base, name := range newest {
		b, err := d.readSmall(dir+"/"+name, maxCourier)
		if err = ignoreGone(err); err != nil {
			return nil, err
		}
		all[base] = validKeywords(strings.Fields(string(b)))
	}
	return all, err
}

// parseCourier reads the list: keywords, an empty line, "BASE:N N ...".
func parseCourier(b []byte) courierKeywords {
	all := courierKeywords{}
	var names []string
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		if len(line) == 0 {
			break
		}
		names = append(names, string(line))
	}
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		base, nums, ok := strings.Cut(string(line), ":")
		if !ok || base == "" {
			continue
		}
		var words []string
		for _, s := range strings.Fields(nums) {
			if n, err := strconv.Atoi(s); err == nil && n >= 0 && n < len(names) {
				words = append(words, names[n])
			}
		}
		all[base] = validKeywords(words)
	}
	return all
}

func validKeywords(words []string) (out []string) {
	for _, w := range words {
		if mailbox.ValidKeyword(w) {
			out = append(out, w)
		}
	}
	return out
}

// courierChange reads the name of a file of one message, ".N.BASE".
func courierChange(name string) (base string, ok bool) {
	num, base, ok := strings.Cut(strings.TrimPrefix(name, "."), ".")
	_, err := strconv.ParseUint(num, 10, 64)
	return base, ok && err == nil && name[0] == '.' && base != ""
}

// An adoption gives letters to the keywords that Courier has kept.
type adoption struct {
	all   courierKeywords
	used  uint32 // letters that names bear
	slots slots
}

// step gives a file the letters of its keywords.
func (a *adoption) step(file string) (step, error) {
	flags, l := parseFlags([]byte(file))
	for _, name := range a.all[baseOf(file)] {
		i := a.slots.create(name, a.used)
		if i < 0 {
			return step{}, fmt.Errorf("%w: %s has a keyword of Courier's for which there is no letter", mailbox.ErrUnsupported, file)
		}
		l |= 1 << i
	}
	return step{file, "cur/" + withFlags(file[4:], flags, l)}, nil
}

// adopt turns the keywords that Courier has kept into letters, all in one change:
// from then on there is Dovecot's file of keywords, and Courier's do not count.
// The lock is held.
func (d *Driver) adopt(dir string, held *lock.Uidlist) (err error) {
	var a adoption
	if a.all, err = d.readCourier(dir); err != nil {
		return err
	}
	var files []string
	err = d.readMessages(dir, func(file string) {
		_, l := parseFlags([]byte(file))
		a.used |= l
		if len(a.all[baseOf(file)]) > 0 {
			files = append(files, file)
		}
	})
	if err != nil {
		return err
	}
	sort.Slice(files, func(i, k int) bool { return files[i] < files[k] }) // no matter who adopts, the letters are the same
	steps := make([]step, len(files))
	for i, file := range files {
		if steps[i], err = a.step(file); err != nil {
			return err
		}
	}
	c := change{d: d, dir: dir, lock: held}
	if err := c.replaceSlots(&a.slots); err != nil {
		return err
	}
	c.steps = append(c.steps, steps...)
	err = c.run(func(s step) (step, bool, error) {
		at, err := d.byBase(dir, s.from)
		if at == "" || err != nil {
			return step{}, false, err
		}
		c.steps[c.done], err = a.step(at)
		return c.steps[c.done], true, err
	})
	if err != nil && !errors.Is(err, errUnfinished) {
		err = c.undo(err)
	}
	return err
}
