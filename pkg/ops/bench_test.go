package ops_test

import (
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/internal/mailgen"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
	"mailutil/pkg/search"
)

// Benchmarks of what people wait for, each beside the physical bound or the
// tool it is measured against, so that one run gives the ratio:
//
//	go test -run - -bench . -mb 1000 ./pkg/ops
var benchMB = flag.Int64("mb", 100, "size of the benchmark mailbox, MB")

// source writes the benchmark mailbox once per run and returns its path.
func source(b *testing.B) (*ops.Session, string) {
	b.Helper()
	home := filepath.Join(os.TempDir(), "mailutil-bench")
	if dir := os.Getenv("BENCH_DIR"); dir != "" {
		home = dir
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(home, "source")
	if fi, err := os.Stat(path); err != nil || fi.Size()/1e6 != *benchMB {
		f, err := os.Create(path)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := mailgen.Unix(f, 1, *benchMB*1e6); err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
	env := &mailbox.Env{
		User: "bench", Home: home, Spool: filepath.Join(home, "spool"), Host: "mail.example.org", Dir: home,
		Now: time.Now, Notify: func(mailbox.Level, string) {}, LockDir: os.TempDir(), StateDir: filepath.Join(home, "state"),
		Config: mailbox.DefaultConfig(),
	}
	fi, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(fi.Size())
	return &ops.Session{Env: env, Drivers: all.Drivers(env)}, path
}

// setup runs f outside the measured time.
func setup(b *testing.B, f func() error) {
	b.Helper()
	b.StopTimer()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}

func cp(dst, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}

func BenchmarkCpAndSync(b *testing.B) {
	s, src := source(b)
	for range b.N {
		if err := cp(filepath.Join(s.Env.Home, "cp"), src); err != nil {
			b.Fatal(err)
		}
		setup(b, func() error { return os.Remove(filepath.Join(s.Env.Home, "cp")) })
	}
}

func benchmarkCopy(b *testing.B, target string) {
	s, src := source(b)
	for range b.N {
		setup(b, func() error { os.Remove(filepath.Join(s.Env.Home, "target")); return nil })
		acc, err := s.Copy(context.Background(), src, target, ops.CopyOptions{Create: true})
		if err != nil || !acc.Balanced() || acc.Failed > 0 {
			b.Fatal(acc.Equation(), err)
		}
	}
	setup(b, func() error { return os.Remove(filepath.Join(s.Env.Home, "target")) })
}

func BenchmarkCopyUnixToMbx(b *testing.B)  { benchmarkCopy(b, "#driver.mbx/target") }
func BenchmarkCopyUnixToUnix(b *testing.B) { benchmarkCopy(b, "#driver.unix/target") }

func BenchmarkGrepCount(b *testing.B) {
	_, src := source(b)
	for range b.N {
		grep := exec.Command("grep", "-c", "^From ", src)
		grep.Env = []string{"LC_ALL=C"}          // in which 8-bit mail is text
		grep.Stdout = io.MultiWriter(io.Discard) // grep stops at the first match when it writes to /dev/null
		if err := grep.Run(); err != nil {
			b.Skip(err)
		}
	}
}

// inFormat makes a copy of the source in the given format and returns its name.
func inFormat(b *testing.B, s *ops.Session, src, format string) string {
	b.Helper()
	name := filepath.Join(s.Env.Home, "box."+format)
	setup(b, func() error {
		os.Remove(name)
		_, err := s.Copy(context.Background(), src, "#driver."+format+"/"+name, ops.CopyOptions{Create: true})
		return err
	})
	b.Cleanup(func() { os.Remove(name) })
	return name
}

func benchmarkCheck(b *testing.B, format string) {
	s, src := source(b)
	name := inFormat(b, s, src, format)
	for range b.N {
		if _, err := s.Check(context.Background(), name); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckUnix(b *testing.B) { benchmarkCheck(b, "unix") }
func BenchmarkCheckMbx(b *testing.B)  { benchmarkCheck(b, "mbx") }

// benchmarkPrune expunges every tenth message.
func benchmarkPrune(b *testing.B, format string) {
	s, src := source(b)
	criteria, err := search.Parse("flagged", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		name := inFormat(b, s, src, format)
		p, err := s.Prune(context.Background(), name, criteria)
		if err != nil || p.Gone == 0 {
			b.Fatal(p, err)
		}
	}
}

func BenchmarkPruneUnix(b *testing.B) { benchmarkPrune(b, "unix") }
func BenchmarkPruneMbx(b *testing.B)  { benchmarkPrune(b, "mbx") }

func benchmarkSearch(b *testing.B, format string) {
	s, src := source(b)
	name := inFormat(b, s, src, format)
	criteria, err := search.Parse("text nowhere-to-be-found", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		p, err := s.Prune(context.Background(), name, criteria)
		if err != nil || p.Matched != 0 {
			b.Fatal(p, err)
		}
	}
}

func BenchmarkSearchTextUnix(b *testing.B) { benchmarkSearch(b, "unix") }
func BenchmarkSearchTextMbx(b *testing.B)  { benchmarkSearch(b, "mbx") }
