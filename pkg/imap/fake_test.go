package imap_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"mailutil/pkg/imap"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/remote"
)

// A fake is a server that answers as a test wants it to: what answer does not
// take, it answers as a good one that has one mailbox, box, would.
type fake struct {
	t     *testing.T
	port  int
	texts []string // of the messages
	caps  string

	// oneByOne makes a connection wait until what the one before it has sent is
	// done with. A server that is still busy then may store messages that the
	// next connection does not see: doc.go tells of it.
	oneByOne bool
	turn     sync.Mutex

	// answer returns what is to be sent for a command, before which "TAG" stands
	// for its tag, and whether the test takes it at all. "HANGUP" at its end ends
	// the connection.
	answer func(n int, command string) (string, bool)

	listener net.Listener
	running  sync.WaitGroup
	once     sync.Once

	mu       sync.Mutex
	sessions int
	commands []string // all, without tags
	stored   []string // by APPEND
}

func newFake(t *testing.T, texts ...string) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{
		t: t, listener: l, port: l.Addr().(*net.TCPAddr).Port, texts: texts, caps: "IMAP4rev1 LITERAL+ UIDPLUS UNSELECT",
		answer: func(int, string) (string, bool) { return "", false },
	}
	t.Cleanup(func() {
		l.Close()
		f.running.Wait()
	})
	return f
}

// start begins to answer. The test has said by then what it wants: the fields
// that it sets must not change any more.
func (f *fake) start() {
	f.once.Do(func() {
		f.running.Go(func() {
			for {
				c, err := f.listener.Accept()
				if err != nil {
					return
				}
				f.running.Go(func() { f.serve(c) })
			}
		})
	})
}

var literal = regexp.MustCompile(`\{(\d+)\+?\}$`)

func (f *fake) serve(c net.Conn) {
	defer c.Close()
	if f.oneByOne {
		f.turn.Lock()
		defer f.turn.Unlock()
	}
	f.mu.Lock()
	f.sessions++
	f.mu.Unlock()
	r := bufio.NewReader(c)
	hello, ok := f.reply("", "GREETING")
	if !ok {
		hello = "* OK hello\r\n"
	}
	if !f.send(c, hello) {
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		tag, command, _ := strings.Cut(line, " ")
		body := ""
		if m := literal.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			if !strings.HasSuffix(line, "+}") && !f.send(c, "+ go on\r\n") {
				return
			}
			b := make([]byte, n)
			if _, err := io.ReadFull(r, b); err != nil {
				return
			}
			body = string(b)
			r.ReadString('\n')
		}
		text, ok := f.reply(tag, command)
		if !ok {
			text = f.good(command, body)
		}
		if !f.send(c, strings.ReplaceAll(text, "TAG", tag)) {
			return
		}
	}
}

func (f *fake) send(c net.Conn, text string) bool {
	text, hangup := strings.CutSuffix(text, "HANGUP")
	_, err := io.WriteString(c, text)
	return err == nil && !hangup
}

func (f *fake) reply(_, command string) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commands = append(f.commands, command)
	return f.answer(f.sessions, command)
}

// good is what a good server answers.
func (f *fake) good(command, body string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	word, _, _ := strings.Cut(command, " ")
	switch word {
	case "CAPABILITY":
		return "* CAPABILITY " + f.caps + "\r\nTAG OK\r\n"
	case "SELECT", "EXAMINE":
		return fmt.Sprintf("* %d EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen \\Deleted)\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT %d] x\r\n* OK [PERMANENTFLAGS (\\Seen \\Deleted \\*)] x\r\nTAG OK [READ-WRITE] done\r\n", len(f.texts), 101+len(f.texts))
	case "STATUS":
		return fmt.Sprintf("* STATUS box (MESSAGES %d RECENT 0 UNSEEN 0 UIDNEXT %d UIDVALIDITY 7)\r\nTAG OK\r\n", len(f.texts), 101+len(f.texts))
	case "LIST":
		return "* LIST () \"/\" box\r\nTAG OK\r\n"
	case "LOGOUT":
		return "* BYE\r\nTAG OK\r\nHANGUP"
	case "FETCH":
		return f.index() + "TAG OK\r\n"
	case "UID":
		return f.uid(command)
	case "APPEND":
		f.stored = append(f.stored, body)
		f.texts = append(f.texts, body)
		return fmt.Sprintf("TAG OK [APPENDUID 7 %d] done\r\n", 100+len(f.texts))
	}
	return "TAG OK\r\n"
}

func (f *fake) index() string {
	out := ""
	for i, text := range f.texts {
		out += fmt.Sprintf("* %d FETCH (UID %d INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" RFC822.SIZE %d FLAGS (\\Seen))\r\n", i+1, 101+i, len(text))
	}
	return out
}

// uid answers UID FETCH set (UID BODY.PEEK[]...).
func (f *fake) uid(command string) string {
	words := strings.SplitN(command, " ", 4)
	if words[1] != "FETCH" {
		return "TAG OK\r\n"
	}
	out := ""
	for i, text := range f.texts {
		if !inSet(words[2], 101+i) {
			continue
		}
		item := "BODY[]"
		if m := regexp.MustCompile(`<(\d+)\.(\d+)>`).FindStringSubmatch(words[3]); m != nil {
			from, _ := strconv.Atoi(m[1])
			n, _ := strconv.Atoi(m[2])
			text = text[from:min(len(text), from+n)]
			item += "<" + m[1] + ">"
		}
		if strings.Contains(words[3], "HEADER") {
			item = strings.Replace(item, "[]", "[HEADER]", 1)
			if i := strings.Index(text, "\r\n\r\n"); i >= 0 {
				text = text[:i+4]
			}
		}
		out += fmt.Sprintf("* %d FETCH (UID %d %s {%d}\r\n%s)\r\n", i+1, 101+i, item, len(text), text)
	}
	return out + "TAG OK done\r\n"
}

func inSet(set string, n int) bool {
	for _, part := range strings.Split(set, ",") {
		a, b, ok := strings.Cut(part, ":")
		lo, _ := strconv.Atoi(a)
		hi := lo
		if ok {
			hi, _ = strconv.Atoi(b)
		}
		if n >= lo && n <= hi {
			return true
		}
	}
	return false
}

// driver returns a driver in new surroundings, whose notices are kept.
func (f *fake) driver(o ...func(*remote.Options)) (*imap.Driver, *mailbox.Env, *[]string) {
	f.start()
	env := mailboxtest.NewEnv(f.t)
	var notices []string
	env.Notify = func(l mailbox.Level, text string) {
		if l == mailbox.Warn {
			notices = append(notices, text)
		}
	}
	opts := options()
	for _, change := range o {
		change(&opts)
	}
	d := imap.New(env, opts)
	f.t.Cleanup(func() { d.Close() })
	return d, env, &notices
}

func (f *fake) box() mailbox.Name { return at(f.port, "box") }

// sent are the commands that begin with a word.
func (f *fake) sent(word string) (out []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.commands {
		if strings.HasPrefix(c, word) {
			out = append(out, c)
		}
	}
	return out
}
