// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// CanonicalContext encodes an encryption context so that equal maps give equal bytes: the
// pairs in the order of their names' UTF-8 bytes, each name and value preceded by its
// length in 4 bytes, big-endian. No pairs give no bytes.
//
// Error: [ErrContext] for a name or value that is not valid UTF-8.
func CanonicalContext(pairs map[string]string) ([]byte, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	type pair struct{ name, value string }
	sorted := make([]pair, 0, len(pairs))
	size := 0
	for name, value := range pairs {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, ErrContext
		}
		if len(name) > math.MaxInt32 || len(value) > math.MaxInt32 {
			return nil, fmt.Errorf("%w: longer than its length field", ErrContext)
		}
		sorted = append(sorted, pair{name, value})
		size += 8 + len(name) + len(value)
	}
	slices.SortFunc(sorted, func(a, b pair) int { return cmp.Compare(a.name, b.name) })
	out := make([]byte, 0, size)
	for _, p := range sorted {
		out = appendCounted(out, p.name)
		out = appendCounted(out, p.value)
	}
	return out, nil
}

func appendCounted(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s))) //nolint:gosec // G115: checked by the caller
	return append(b, s...)
}
