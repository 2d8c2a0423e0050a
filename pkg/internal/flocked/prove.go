package flocked

import (
	"hash/maphash"
	"io"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// Prove digests the first octets of f, for mailbox.Prover.
func Prove(f fsx.File, octets int64, seed maphash.Seed) (mailbox.Proof, error) {
	var h maphash.Hash
	h.SetSeed(seed)
	n, err := io.CopyBuffer(&h, io.NewSectionReader(f, 0, octets), make([]byte, 256<<10))
	if err == nil && n < octets {
		err = mailbox.ErrChanged
	}
	if err != nil {
		return mailbox.Proof{}, err
	}
	fi, err := f.Stat()
	if err != nil {
		return mailbox.Proof{}, err
	}
	return mailbox.Proof{Size: octets, Digest: h.Sum64(), Now: fi.Size()}, nil
}
