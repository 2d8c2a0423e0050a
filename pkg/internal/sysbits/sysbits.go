// Package sysbits has the bits by which mbx, mtx, tenex, mix and mx store
// system flags: they are the same in all formats of the original that number
// them.
package sysbits

import "mailutil/pkg/mailbox"

// The bits of system flags. Old says that a read-write session has seen the
// message: it is not recent any more.
const (
	Seen     = 0x01
	Deleted  = 0x02
	Flagged  = 0x04
	Answered = 0x08
	Old      = 0x10
	Draft    = 0x20
)

var table = [...]struct {
	bit  uint16
	flag mailbox.SystemFlags
}{
	{Seen, mailbox.Seen},
	{Deleted, mailbox.Deleted},
	{Flagged, mailbox.Flagged},
	{Answered, mailbox.Answered},
	{Draft, mailbox.Draft},
}

// Flags returns the flags of stored bits, without Recent.
func Flags[T uint8 | uint16](bits T) (f mailbox.SystemFlags) {
	for _, t := range table {
		if uint16(bits)&t.bit != 0 {
			f |= t.flag
		}
	}
	return f
}

// Bits is the reverse.
func Bits[T uint8 | uint16](f mailbox.SystemFlags) (bits T) {
	for _, t := range table {
		if f&t.flag != 0 {
			bits |= T(t.bit)
		}
	}
	return bits
}
