// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"testing"
)

func TestRequestIDsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[[16]byte]bool{}
	for range 10_000 {
		var id [16]byte
		if n, err := (requestIDs{}).Read(id[:]); n != len(id) || err != nil {
			t.Fatal(n, err)
		}
		if seen[id] {
			t.Fatalf("%x comes twice", id)
		}
		seen[id] = true
	}
}

func TestRequestIDsFillWhatIsAsked(t *testing.T) {
	t.Parallel()
	for size := range 40 {
		b := make([]byte, size+1)
		for range 64 { // each byte is other than zero once, or something is wrong
			part := make([]byte, size)
			if n, err := (requestIDs{}).Read(part); n != size || err != nil {
				t.Fatal(n, err)
			}
			for i := range part {
				b[i] |= part[i]
			}
		}
		if at := bytes.IndexByte(b, 0); at != size {
			t.Errorf("byte %d of %d stays zero", at, size)
		}
	}
}
