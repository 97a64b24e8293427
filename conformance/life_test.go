// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto"
	_ "crypto/sha256" // the digests that the algorithms below name
	_ "crypto/sha512"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// rotations is how many versions every life makes after the first.
const rotations = 10

// Distances on the server's clock.
const (
	day       = 24 * time.Hour
	week      = 7 * day
	retention = week + time.Hour // a deletion time that is certainly allowed
)

// chapter is one step in the lives of a cast of keys. The whole cast lives a chapter, side by side,
// before the next one begins: the clock that moves between chapters is the whole server's.
type chapter[C fmt.Stringer] struct {
	name   string
	before func(t *testing.T) // moves the clock; nil for nothing
	live   func(t *testing.T, c C)
}

// tell runs the chapters in order. Who fails in one chapter is missing from the later ones.
func tell[C fmt.Stringer](t *testing.T, cast []C, chapters []chapter[C]) {
	t.Helper()
	var fallen sync.Map // name -> true
	for i, ch := range chapters {
		if ch.before != nil {
			ch.before(t)
		}
		t.Run(fmt.Sprintf("%02d %s", i+1, ch.name), func(t *testing.T) {
			for _, c := range cast {
				if _, gone := fallen.Load(c.String()); gone {
					continue
				}
				t.Run(c.String(), func(t *testing.T) {
					t.Parallel()
					t.Cleanup(func() {
						if t.Failed() {
							fallen.Store(c.String(), true)
						}
					})
					ch.live(t, c)
				})
			}
		})
	}
}

// digestFor hashes message with the hash that a signing algorithm of either cloud names.
func digestFor(t *testing.T, algorithm, message string) []byte {
	t.Helper()
	for name, hash := range map[string]crypto.Hash{
		"SHA_224": crypto.SHA224, "SHA_256": crypto.SHA256, "SHA_384": crypto.SHA384, "SHA_512": crypto.SHA512,
		"SM2DSA": crypto.SHA256, // it signs any 32 bytes
	} {
		if strings.Contains(algorithm, name) {
			h := hash.New()
			h.Write([]byte(message))
			return h.Sum(nil)
		}
	}
	t.Fatalf("%s names no hash", algorithm)
	return nil
}
