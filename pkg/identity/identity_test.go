package identity

import (
	"os"
	"os/user"
	"path/filepath"
	"slices"
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

func TestGroupsIn(t *testing.T) {
	const text = "root:x:0:\nmail:x:8:alice,bob\nalice:x:1000:alice\nbad:x:y:alice\n+:::alice\nhalf:x:9\nlist:x:38:bob,alice\n"
	u := &user.User{Username: "alice", Gid: "1000"}
	if got, want := groupsIn(text, u), []string{"1000", "8", "38"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
