package mailboxtest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// MailFiles are the mailboxes of testdata, and real mail: a directory beside this
// project, or where MAILUTIL_CORPORA says. In short mode those of more than most
// octets are left out. The test is two directories below the project.
func MailFiles(t *testing.T, most int64) (files []string) {
	t.Helper()
	real := os.Getenv("MAILUTIL_CORPORA")
	if real == "" {
		real = "../../../shared/corpora"
	}
	for _, root := range []string{"../../testdata", real} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "script" || d.Name() == "peer"):
				return fs.SkipDir
			case !d.Type().IsRegular() || slices.Contains([]string{".json", ".md", ".tar", ".go"}, filepath.Ext(path)):
				return nil
			}
			fi, err := d.Info()
			if err == nil && !(testing.Short() && fi.Size() > most) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}
