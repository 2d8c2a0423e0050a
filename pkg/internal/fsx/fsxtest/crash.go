package fsxtest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Crashes calls check for every state that a kill or a power cut could have
// left of what was recorded: after each operation, with everything done that
// was called (a kill), with only what was synced (the worst power cut), with
// the last write torn, and with arbitrary parts of what was not synced. dir
// holds the state; it stands for the recorded root. When done is true, all
// operations were called and synced or kept.
func (r *Recorder) Crashes(t *testing.T, check func(t *testing.T, dir string, done bool)) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := 0; n <= len(r.ops); n++ {
		states := map[string]func(i int) part{
			"kill": func(int) part { return whole },
			"cut":  func(int) part { return none },
		}
		if n > 0 && r.ops[n-1].kind == opWrite {
			states["torn"] = func(i int) part {
				if i == n-1 {
					return part(1 + rnd.IntN(len(r.ops[i].data)))
				}
				return whole
			}
		}
		for k := range 3 {
			states[fmt.Sprintf("arbitrary %d", k)] = func(i int) part {
				if r.ops[i].kind == opTruncate {
					return whole // file systems keep changes of size in order with what follows
				}
				switch rnd.IntN(3) {
				case 0:
					return none
				case 1:
					if len(r.ops[i].data) > sector {
						return part(sector * (1 + rnd.IntN(len(r.ops[i].data)/sector)))
					}
				}
				return whole
			}
		}
		for name, keep := range states {
			dir := t.TempDir()
			if err := r.build(dir, n, keep); err != nil {
				t.Fatal(err)
			}
			what := fmt.Sprintf("%s after %d of %d operations (%s)", name, n, len(r.ops), r.last(n))
			ok := t.Run(what, func(t *testing.T) { check(t, dir, n == len(r.ops) && name == "kill") })
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if !ok {
				return // one state is enough to think about
			}
		}
	}
}

const sector = 512

// A part is how much of an operation got to the disk: octets of a write.
type part int

const (
	none  part = 0
	whole part = -1
)

func (r *Recorder) last(n int) string {
	if n == 0 {
		return "nothing"
	}
	o := r.ops[n-1]
	names := [...]string{"write", "truncate", "fsync", "name", "unlink", "mkdir", "fsync of directory", "rename of directory", "syncfs"}
	what := filepath.Base(o.name)
	for path, ino := range r.names {
		if o.ino == ino && o.name == "" {
			what = filepath.Base(path)
		}
	}
	return fmt.Sprintf("%s %s %d+%d", names[o.kind], what, o.off+o.size, len(o.data))
}

// build makes in dir what the first n operations left. What was synced is
// there; of the rest, what keep says.
func (r *Recorder) build(dir string, n int, keep func(i int) part) error {
	content, names := map[int][]byte{}, map[string]int{}
	for path, b := range r.base {
		content[r.first[path]] = append([]byte(nil), b...)
		names[path] = r.first[path]
	}
	dirs := map[string]bool{}
	for _, d := range r.dirs {
		dirs[d] = true
	}
	for i, o := range r.ops[:n] {
		p := whole
		if !r.durable(i, n) {
			p = keep(i)
		}
		if p == none {
			continue
		}
		switch o.kind {
		case opWrite:
			if p != whole {
				o.data = o.data[:min(int(p), len(o.data))]
			}
			b := content[o.ino]
			if need := int(o.off) + len(o.data); len(b) < need {
				b = append(b, make([]byte, need-len(b))...)
			}
			copy(b[o.off:], o.data)
			content[o.ino] = b
		case opTruncate:
			b := content[o.ino]
			if int(o.size) > len(b) {
				b = append(b, make([]byte, int(o.size)-len(b))...)
			}
			content[o.ino] = b[:o.size]
		case opName:
			delete(names, o.gone)
			names[o.name] = o.ino
		case opUnlink:
			delete(names, o.name)
			delete(dirs, o.name)
		case opMkdir:
			dirs[o.name] = true
		case opRenameDir:
			if !dirs[o.gone] {
				continue // it did not get to the disk
			}
			delete(dirs, o.gone)
			dirs[o.name] = true
			renameBelow(dirs, o.gone, o.name)
			renameBelow(names, o.gone, o.name)
		}
	}
	return r.write(dir, dirs, names, content)
}

// durable reports whether operation i was synced before operation n.
func (r *Recorder) durable(i, n int) bool {
	o := r.ops[i]
	for _, later := range r.ops[i+1 : n] {
		if later.kind == opSyncFS {
			return true
		}
		switch o.kind {
		case opWrite, opTruncate:
			if later.kind == opSync && later.ino == o.ino {
				return true
			}
		case opName, opUnlink, opMkdir, opRenameDir:
			if later.kind == opSyncDir && later.name == filepath.Dir(o.name) {
				return true
			}
		}
	}
	return o.kind == opSync || o.kind == opSyncDir || o.kind == opSyncFS
}

func (r *Recorder) write(dir string, dirs map[string]bool, names map[string]int, content map[int][]byte) error {
	at := func(path string) string { return filepath.Join(dir, strings.TrimPrefix(path, r.root)) }
	for d := range dirs {
		if err := os.MkdirAll(at(d), 0o700); err != nil {
			return err
		}
	}
	made := map[int]string{}
	for path, ino := range names {
		if _, err := os.Stat(filepath.Dir(at(path))); err != nil {
			continue // its directory did not get to the disk
		}
		if first, ok := made[ino]; ok {
			if err := os.Link(first, at(path)); err != nil {
				return err
			}
			continue
		}
		made[ino] = at(path)
		if err := os.WriteFile(at(path), content[ino], 0o600); err != nil {
			return err
		}
	}
	return nil
}
