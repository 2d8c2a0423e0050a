// Package readahead reads small files before they are asked for. A mailbox
// that keeps each message in a file of its own costs an open, a look, a read
// and a close a message; several at a time keep all processors busy, and hide
// how long a disk or a network takes to answer.
package readahead

import (
	"io/fs"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mailutil/pkg/internal/fsx"
)

const (
	// MaxSize is the size of the largest file that is read ahead, in octets.
	MaxSize = 64 << 10

	perBatch  = 16 // files that one goroutine reads, into one buffer
	inFlight  = 4  // batches that are being read, or wait to be asked for
	threshold = 4  // files that are asked for in order before any is read ahead
)

// A File is a file as it was when it was read.
type File struct {
	Text  []byte // all of it, valid until the next Take or Reset
	MTime time.Time
	Ino   uint64 // the number of its inode
}

// Is reports whether the file that fi tells of is the one that was read, and
// nobody has written to it since.
func (f *File) Is(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && uint64(st.Ino) == f.Ino && fi.Size() == int64(len(f.Text)) && fi.ModTime().Equal(f.MTime)
}

// A Reader reads the files of a list ahead of the one who takes them in order.
// It opens them so that nobody's time stamps change where the system can.
// Files that are large, special, or cannot be read it leaves to the caller.
type Reader struct {
	path  func(i int) string // "" behind the last file
	next  int                // the file that is to be asked for
	run   int                // how many were asked for in order
	begun int                // the first file that no batch has
	queue []*batch           // in the order of their files
	free  []*batch
}

// A batch is some files that follow one another.
type batch struct {
	first int
	paths []string
	files [perBatch]File // Text is nil for one that was not read
	buf   []byte
	done  chan struct{}
}

// New returns a reader of the files that path names. path is called by Take
// only. Call Reset when the names are no longer those that path has told.
func New(path func(i int) string) *Reader { return &Reader{path: path} }

// Take gives file i; ok is false where the caller has to open it.
func (r *Reader) Take(i int) (f File, ok bool) {
	if i != r.next {
		r.Reset()
		r.begun = i + 1
	}
	r.next = i + 1
	if r.run++; r.run < threshold {
		r.begun = r.next
		return f, false
	}
	for len(r.queue) > 0 && i >= r.queue[0].first+len(r.queue[0].paths) {
		r.free = append(r.free, r.queue[0])
		r.queue = r.queue[1:]
	}
	r.begun = max(r.begun, i)
	for len(r.queue) < inFlight && r.begin() {
	}
	if len(r.queue) == 0 || i < r.queue[0].first {
		return f, false
	}
	b := r.queue[0]
	<-b.done
	f = b.files[i-b.first]
	return f, f.Text != nil
}

// Peek gives file i where it is being read ahead, and changes nothing.
func (r *Reader) Peek(i int) (f File, ok bool) {
	for _, b := range r.queue {
		if k := i - b.first; k >= 0 && k < len(b.paths) {
			<-b.done
			f = b.files[k]
		}
	}
	return f, f.Text != nil
}

// begin has the next files read. It reports whether there were any.
func (r *Reader) begin() bool {
	var b *batch
	if n := len(r.free); n > 0 {
		b, r.free = r.free[n-1], r.free[:n-1]
	} else {
		b = &batch{buf: make([]byte, perBatch*MaxSize)}
	}
	b.first, b.paths, b.done = r.begun, b.paths[:0], make(chan struct{})
	for len(b.paths) < perBatch {
		p := r.path(r.begun)
		if p == "" {
			break
		}
		b.paths = append(b.paths, p)
		r.begun++
	}
	if len(b.paths) == 0 {
		r.free = append(r.free, b)
		return false
	}
	r.queue = append(r.queue, b)
	go b.read()
	return true
}

// Reset forgets what was read. It waits for what is being read.
func (r *Reader) Reset() {
	for _, b := range r.queue {
		<-b.done
	}
	r.free = append(r.free, r.queue...)
	r.queue, r.run = nil, 0
}

func (b *batch) read() {
	defer close(b.done)
	for i, path := range b.paths {
		b.files[i] = readFile(path, b.buf[i*MaxSize:][:MaxSize:MaxSize])
	}
}

// readFile is by descriptor: a file of the os package is registered with the
// poller and has a finalizer, which costs as much as the reading.
func readFile(path string, buf []byte) (f File) {
	fd, err := open(path)
	if err != nil {
		return f
	}
	defer unix.Close(fd) // nothing is written to it
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > MaxSize {
		return f
	}
	for n := 0; n < int(st.Size); {
		k, err := unix.Pread(fd, buf[n:st.Size], int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil || k == 0 {
			return f
		}
		n += k
	}
	return File{Text: buf[:st.Size], MTime: time.Unix(st.Mtim.Unix()), Ino: uint64(st.Ino)}
}

func open(path string) (fd int, err error) {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC
	for _, also := range []int{fsx.NoAtime, 0} {
		for {
			fd, err = unix.Open(path, flags|also, 0)
			if err != unix.EINTR {
				break
			}
		}
		if err != unix.EPERM { // not our file
			break
		}
	}
	return fd, err
}
