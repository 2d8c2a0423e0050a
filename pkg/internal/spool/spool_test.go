package spool

import (
	"bytes"
	"testing"
)

func TestSpool(t *testing.T) {
	for _, size := range []int{0, 10, inMemory, inMemory + 1, 3*inMemory + 17} {
		s := Spool{Dir: t.TempDir()}
		var want bytes.Buffer
		for i := 0; want.Len() < size; i++ {
			p := bytes.Repeat([]byte{byte(i)}, min(70_001, size-want.Len()))
			want.Write(p)
			if _, err := s.Write(p); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			var got bytes.Buffer
			n, err := s.WriteTo(&got)
			if err != nil || n != int64(size) || !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Fatalf("size %d: got %d octets, %v", size, n, err)
			}
		}
		for _, cut := range []int{size - size/3, size / 2, 0} {
			if err := s.Truncate(int64(cut)); err != nil {
				t.Fatal(err)
			}
			s.Write([]byte("tail"))
			var got bytes.Buffer
			if _, err := s.WriteTo(&got); err != nil || got.String() != string(want.Bytes()[:cut])+"tail" {
				t.Fatalf("size %d cut to %d: got %d octets, %v", size, cut, got.Len(), err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
