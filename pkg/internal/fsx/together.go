package fsx

import (
	"errors"
	"os"
	"sync"
	"syscall"
)

const (
	waiters = 16      // files that are waited for at a time
	enough  = 1 << 10 // files that are worth a Sync of the file system while others are written
)

// inFlight is how many files are kept open to be made durable together. It is
// less in tests.
var inFlight = 128

// A Together makes any number of files durable that are written one after the
// other. A few are waited for, each. Where there are more, those that follow are
// left to one Sync of their whole file system, as long as it has little else to
// write: thousands of small files cost little more than their octets then.
type Together struct {
	FS  FS
	Dir string // that the files are in, or a directory above it

	worker *worker // owns what is below as long as there is one

	files  []togetherFile
	whole  WholeFS // opened when the second file was added
	alone  bool    // whole cannot be had
	before int     // how many of files may have been written before whole was opened
	left   int     // how many files are left to whole
	begun  int     // how many of them there were when it was told last

	early chan error // tells the end of that Sync, nil where none is under way
}

// A togetherFile is open, or has a path.
type togetherFile struct {
	open File
	path string
}

// Add takes a file that is written, and closes it, at the latest in Sync or
// Close. It may be made durable at once, or not before Sync.
func (t *Together) Add(f File) error { return t.hand(job{file: togetherFile{open: f}}) }

// AddPath is Add for a file that somebody else wrote.
func (t *Together) AddPath(path string) error { return t.hand(job{file: togetherFile{path: path}}) }

// AddLate is Add for a file that write will write to, perhaps while the caller
// does something else. An error of it is that of a later call.
func (t *Together) AddLate(f File, write func() error) error {
	// A single file is not worth it, and tests count the calls one by one.
	if _, real := f.(osFile); real && t.worker == nil && len(t.files) > 0 {
		t.openWhole()
		t.worker = t.newWorker()
	}
	return t.hand(job{togetherFile{open: f}, write})
}

// openWhole opens the file system, so that it tells of errors in what is written
// from now on.
func (t *Together) openWhole() {
	if t.whole != nil || t.alone {
		return
	}
	var err error
	t.whole, err = t.FS.OpenFS(t.Dir)
	t.alone = err != nil // then the files are waited for
	t.before = len(t.files) + 1
}

// A job is a file that is to be added, once it is written.
type job struct {
	file  togetherFile
	write func() error // nil: it is
}

// hand has a job done.
func (t *Together) hand(j job) error {
	if t.worker != nil {
		return t.worker.take(j)
	}
	if len(t.files) > 0 {
		t.openWhole()
	}
	return t.do(j)
}

func (t *Together) do(j job) error {
	if j.write != nil {
		if err := j.write(); err != nil {
			return errors.Join(err, j.file.open.Close())
		}
	}
	return t.add(j.file)
}

func (t *Together) add(f togetherFile) error {
	t.files = append(t.files, f)
	if len(t.files) < inFlight {
		return nil
	}
	if t.alone || t.whole.Crowded() {
		return t.each()
	}
	return t.leave()
}

// leave leaves the files to whole. Where there are many, the disk has the first
// of them while the next ones are written.
func (t *Together) leave() error {
	if err := SyncAll(opened(t.files[:t.before])); err != nil {
		return err
	}
	t.left += len(t.files)
	err := t.closeFiles()
	if err != nil || t.left-t.begun < enough {
		return err
	}
	err = t.waitEarly()
	t.begun, t.early = t.left, make(chan error, 1)
	go func() { t.early <- t.whole.Sync() }()
	return err
}

// waitEarly waits for the Sync that is under way.
func (t *Together) waitEarly() (err error) {
	if t.early != nil {
		err, t.early = <-t.early, nil
	}
	return err
}

// each waits for each of the files.
func (t *Together) each() error {
	for i := range t.files {
		f := &t.files[i]
		if f.open != nil {
			continue
		}
		var err error
		if f.open, err = t.FS.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
			return errors.Join(err, t.closeFiles())
		}
	}
	err := SyncAll(opened(t.files))
	return errors.Join(err, t.closeFiles())
}

func opened(all []togetherFile) (files []File) {
	for _, f := range all {
		if f.open != nil {
			files = append(files, f.open)
		}
	}
	return files
}

func (t *Together) closeFiles() error {
	var errs []error
	for _, f := range opened(t.files) {
		errs = append(errs, f.Close())
	}
	t.files, t.before = t.files[:0], 0
	return errors.Join(errs...)
}

// Sync makes all files durable that were added.
func (t *Together) Sync() error {
	if err := t.worked(); err != nil {
		return err
	}
	if t.left == 0 {
		return t.each()
	}
	t.left, t.begun = 0, 0
	return errors.Join(t.closeFiles(), t.waitEarly(), t.whole.Sync())
}

// Close closes what is open; safe at any time.
func (t *Together) Close() error {
	t.worked() // whose error Sync tells
	err := errors.Join(t.closeFiles(), t.waitEarly())
	if t.whole != nil {
		err = errors.Join(err, t.whole.Close())
		t.whole = nil
	}
	return err
}

// SyncAll makes files durable. The disk is told of all of them before the first
// is waited for, and several are waited for at a time, so that their flushes of
// the disk's cache become one: many small files cost little more than one.
func SyncAll(files []File) error {
	if len(files) == 1 { // as a delivery has it
		return files[0].Sync()
	}
	for _, f := range files {
		startWriteback(f, 0, 0)
	}
	var all sync.WaitGroup
	next, errs := make(chan int), make([]error, len(files))
	for range atOnce(files) {
		all.Go(func() {
			for i := range next {
				errs[i] = files[i].Sync()
			}
		})
	}
	for i := range files {
		next <- i
	}
	close(next)
	all.Wait()
	return errors.Join(errs...)
}

// atOnce is how many of files are waited for at a time: those of tests, which
// count the calls, one by one.
func atOnce(files []File) int {
	for _, f := range files {
		if _, real := f.(osFile); !real {
			return 1
		}
	}
	return min(waiters, len(files))
}
