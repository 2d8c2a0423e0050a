package pop3

import (
	"net"
	"time"
)

// noDeadline is a connection of which only deadlines are set.
type noDeadline struct{ net.Conn }

func (noDeadline) SetWriteDeadline(time.Time) error { return nil }
