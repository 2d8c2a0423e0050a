package mailboxtest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
)

// A Dovecot is the real one, of a configuration of its own, without a server.
// INBOX is the Maildir of that name in its home.
type Dovecot struct {
	t    *testing.T
	home string
	who  *syscall.Credential
}

const dovecotIMAP = "/usr/lib/dovecot/imap"

// NewDovecot configures Dovecot for a home and a user of PlainHome, with more
// settings. Where it is not installed the test is skipped.
func NewDovecot(t *testing.T, home string, who *syscall.Credential, more ...string) *Dovecot {
	t.Helper()
	if _, err := os.Stat(dovecotIMAP); err != nil {
		t.Skip("Dovecot is not installed here: ", err)
	}
	conf := strings.ReplaceAll("base_dir = HOME/run\nstate_dir = HOME/run\nlog_path = HOME/log\nmail_location = maildir:HOME/Maildir\nssl = no\nprotocols =\n", "HOME", home)
	conf += strings.Join(more, "\n") + "\n"
	if err := os.WriteFile(home+"/conf", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	return &Dovecot{t, home, who}
}

// IMAP has commands done, and returns what Dovecot answers. That it has
// something to warn of is a failure.
func (d *Dovecot) IMAP(commands ...string) *bufio.Reader {
	d.t.Helper()
	Give(d.t, d.home, d.who)
	cmd := exec.Command(dovecotIMAP, "-c", d.home+"/conf")
	cmd.Env = []string{"HOME=" + d.home, "USER=games", "PATH=/usr/bin:/bin", "TZ=UTC"}
	cmd.Dir = d.home
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: d.who}
	// Its standard input must not end before it has: it would leave with what it
	// could not write yet.
	in, give, err := os.Pipe()
	if err != nil {
		d.t.Fatal(err)
	}
	defer give.Close()
	cmd.Stdin = in
	go io.WriteString(give, strings.Join(append(commands, "z LOGOUT"), "\r\n")+"\r\n")
	out, err := cmd.CombinedOutput()
	in.Close()
	log, _ := os.ReadFile(d.home + "/log")
	if err != nil || !bytes.Contains(out, []byte("z OK")) || bytes.Contains(log, []byte("Error")) || bytes.Contains(log, []byte("Warning")) {
		d.t.Fatalf("Dovecot: %v\n%s\n%s", err, out, log)
	}
	return bufio.NewReader(bytes.NewReader(out))
}

// A Reading is what a program tells of a mailbox.
type Reading struct {
	UIDValidity, UIDNext uint32
	Messages             []ReadMessage
}

// A ReadMessage is what a program tells of a message. Lists are sorted, and nil
// where there is nothing; Recent is left out.
type ReadMessage struct {
	UID             uint32
	Date            time.Time // in UTC
	Flags, Keywords []string
	Size            int64
	SHA256          string // of the text, in hexadecimal
}

// ReadAll is what an open mailbox of ours tells.
func ReadAll(t *testing.T, mb mailbox.Mailbox) (r Reading) {
	t.Helper()
	st := mb.Status()
	r.UIDValidity, r.UIDNext = st.UIDValidity, st.UIDNext
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		text, err := mb.Open(m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		if n, err := io.Copy(sum, text); err != nil || n != m.Size {
			t.Errorf("message %d: %d octets, size %d, %v", m.Seq, n, m.Size, err)
		}
		msg := ReadMessage{UID: m.UID, Date: m.Date.Time().UTC(), Size: m.Size, SHA256: hex.EncodeToString(sum.Sum(nil))}
		m.Flags.System &^= mailbox.Recent
		msg.sort(m.Flags.Names(st.Keywords))
		r.Messages = append(r.Messages, msg)
	}
	return r
}

// sort puts the names of flags where they belong.
func (m *ReadMessage) sort(names []string) {
	for _, name := range names {
		switch {
		case name == `\Recent`:
		case name[0] == '\\':
			m.Flags = append(m.Flags, name)
		default:
			m.Keywords = append(m.Keywords, name)
		}
	}
	slices.Sort(m.Flags)
	slices.Sort(m.Keywords)
}

var (
	fetchLine = regexp.MustCompile(`^\* \d+ FETCH \(UID (\d+) FLAGS \((.*)\) INTERNALDATE "(.*)" RFC822.SIZE (\d+) BODY\[\] \{(\d+)\}\r\n$`)
	validLine = regexp.MustCompile(`UIDVALIDITY (\d+)`)
	nextLine  = regexp.MustCompile(`UIDNEXT (\d+)`)
)

// Read is what Dovecot tells of a mailbox.
func (d *Dovecot) Read(folder string) (r Reading) {
	d.t.Helper()
	in := d.IMAP(fmt.Sprintf("a SELECT %q", folder), "b FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			return r
		}
		if strings.HasPrefix(line, "a NO") || strings.HasPrefix(line, "a BAD") {
			d.t.Fatalf("Dovecot, %s: %s", folder, line)
		}
		if m := validLine.FindStringSubmatch(line); m != nil {
			r.UIDValidity = number(m[1])
		}
		if m := nextLine.FindStringSubmatch(line); m != nil {
			r.UIDNext = number(m[1])
		}
		if m := fetchLine.FindStringSubmatch(line); m != nil {
			r.Messages = append(r.Messages, d.message(in, m))
		}
	}
}

// message reads the text behind a line of FETCH.
func (d *Dovecot) message(in io.Reader, fetch []string) ReadMessage {
	d.t.Helper()
	date, err := time.Parse("_2-Jan-2006 15:04:05 -0700", fetch[3])
	if err != nil {
		d.t.Fatal(err)
	}
	text := make([]byte, number(fetch[5]))
	if _, err := io.ReadFull(in, text); err != nil {
		d.t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	m := ReadMessage{UID: number(fetch[1]), Date: date.UTC(), Size: int64(number(fetch[4])), SHA256: hex.EncodeToString(sum[:])}
	m.sort(strings.Fields(fetch[2]))
	return m
}

func number(s string) uint32 {
	n, _ := strconv.ParseUint(s, 10, 32)
	return uint32(n)
}
