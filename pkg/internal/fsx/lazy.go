package fsx

import "io"

// A Lazy is a file that is open only while it is read.
type Lazy struct {
	FS   FS
	Path string
}

// ReadAt opens the file, without a trace, and reads.
func (l Lazy) ReadAt(p []byte, off int64) (int, error) {
	f, err := OpenQuiet(l.FS, l.Path)
	if err != nil {
		return 0, err
	}
	defer f.Close() // nothing was written
	return io.ReadFull(io.NewSectionReader(f, off, int64(len(p))), p)
}
