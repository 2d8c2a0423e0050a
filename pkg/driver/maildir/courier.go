package maildir

import (
	"bytes"
	"errors"
	"io/fs"
	"strconv"
	"strings"

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
