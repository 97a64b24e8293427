// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"math/rand/v2" //nolint:depguard // request ids guard nothing, see [requestIDs]
)

// requestIDs gives what request ids are made of. They tell requests apart and guard nothing, so
// that the generator of keys, which is several times slower, is left to what needs it.
type requestIDs struct{}

// Read fills b; it never fails.
func (requestIDs) Read(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		var word [8]byte
		binary.NativeEndian.PutUint64(word[:], rand.Uint64()) //nolint:gosec // G404: see the type
		rest = rest[copy(rest, word[:]):]
	}
	return len(b), nil
}
