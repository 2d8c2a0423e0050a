package ops

import "io"

// FindOctets reports whether want is in text.
func FindOctets(text io.Reader, want string) bool {
	ok, _ := (&octetFinder{want: []byte(want)}).in(text)
	return ok
}

// Translate is translate, FolderOf folderOf, OfPattern ofPattern.
var (
	Translate = translate
	FolderOf  = folderOf
	OfPattern = ofPattern
)
