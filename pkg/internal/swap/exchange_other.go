//go:build !linux

package swap

// exchange is not possible here.
func exchange(a, b string) (ok bool, err error) { return false, nil }

// renameNew renames a file or a directory and replaces no other (fs.ErrExist).
func renameNew(old, new string) error { return renameUnlessThere(old, new) }
