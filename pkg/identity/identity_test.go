package identity

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGroupsInFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nsswitch.conf")
	for conf, want := range map[string]bool{
		"group: files systemd\n":              true,
		"passwd: ldap\ngroup:files # ldap\n":  true,
		"group: files ldap\n":                 false,
		"group: files\ninitgroups: files sss": false,
		"":                                    false,
		"passwd: files\n":                     false,
	} {
		if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := groupsInFiles(path); got != want {
			t.Errorf("%q: got %v", conf, got)
		}
	}
	if groupsInFiles(path + ".none") {
		t.Error("a missing file is not believed to name files")
	}
}
