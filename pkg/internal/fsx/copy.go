package fsx

import "io"

// bufferSize is how much Copy reads at once where it gets no buffer.
const bufferSize = 64 << 10

// Copy copies r to w, to its end, by nothing but Read and Write. io.Copy knows
// ways of its own for files, which make delivery agents larger by 40,000 octets;
// and it lets what has a WriteTo choose its pieces, which may be small. buf may
// be nil.
func Copy(w io.Writer, r io.Reader, buf []byte) (n int64, err error) {
	if buf == nil {
		buf = make([]byte, bufferSize)
	}
	for {
		got, end := r.Read(buf)
		if got > 0 {
			put, err := w.Write(buf[:got])
			n += int64(put)
			if err == nil && put < got {
				err = io.ErrShortWrite
			}
			if err != nil {
				return n, err
			}
		}
		if end == io.EOF {
			return n, nil
		}
		if end != nil {
			return n, end
		}
	}
}
