package remote

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"

	"mailutil/pkg/mailbox"
)

// A tunnel is a program that speaks for a server.
type tunnel struct {
	cmd  *exec.Cmd
	in   *os.File // what it says
	out  *os.File // what it hears
	name string
}

// startTunnel runs a program without a shell. What it says on standard error
// is for the user.
func startTunnel(args []string) (net.Conn, error) {
	in, theirOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	theirIn, out, err := os.Pipe()
	if err != nil {
		in.Close()
		theirOut.Close()
		return nil, err
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirIn, theirOut, os.Stderr
	err = cmd.Start()
	theirIn.Close()
	theirOut.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, mailbox.Sayf(mailbox.ErrTemporary, "Can't start the tunnel %s: %v", args[0], reasonOf(err))
	}
	return &tunnel{cmd, in, out, args[0]}, nil
}

func (t *tunnel) Read(b []byte) (int, error)  { return t.in.Read(b) }
func (t *tunnel) Write(b []byte) (int, error) { return t.out.Write(b) }

// tunnelEnd is how long a program may take to end once nobody speaks to it.
const tunnelEnd = 5 * time.Second

// Close lets the program end, and ends it if it does not.
func (t *tunnel) Close() error {
	t.out.Close()
	t.in.Close()
	late := time.AfterFunc(tunnelEnd, func() { t.cmd.Process.Kill() })
	defer late.Stop()
	if err := t.cmd.Wait(); err != nil {
		return fmt.Errorf("tunnel %s: %w", t.name, err)
	}
	return nil
}

func (t *tunnel) LocalAddr() net.Addr  { return tunnelAddr(t.name) }
func (t *tunnel) RemoteAddr() net.Addr { return tunnelAddr(t.name) }

func (t *tunnel) SetDeadline(at time.Time) error {
	if err := t.in.SetDeadline(at); err != nil {
		return err
	}
	return t.out.SetDeadline(at)
}
func (t *tunnel) SetReadDeadline(at time.Time) error  { return t.in.SetReadDeadline(at) }
func (t *tunnel) SetWriteDeadline(at time.Time) error { return t.out.SetWriteDeadline(at) }

type tunnelAddr string

func (tunnelAddr) Network() string  { return "tunnel" }
func (a tunnelAddr) String() string { return string(a) }
