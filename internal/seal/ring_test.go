// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"crypto/rand"
	"testing"

	"claviger/internal/seal"
	"claviger/internal/seal/sealtest"
	"claviger/internal/secret"
)

func TestRing(t *testing.T) {
	t.Parallel()
	local := func(root []byte) seal.Seal {
		s, err := seal.NewLocal(secret.Copy(root), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	sealtest.Run(t, func(*testing.T) func() seal.Seal {
		first, second := make([]byte, seal.KeySize), make([]byte, seal.KeySize)
		rand.Read(first)
		rand.Read(second)
		return func() seal.Seal { return seal.NewRing(local(first), local(second)) }
	})
	old, next := counting(seal.KeySize), make([]byte, seal.KeySize)
	ring, before := seal.NewRing(local(old), local(next)), local(old)
	wrapped, err := before.Wrap(t.Context(), secret.New([]byte("x")), nil)
	if err != nil {
		t.Fatal(err)
	}
	ring.Use(local(next).ID())
	ring.Use("unknown")
	if ring.ID() != local(next).ID() || !ring.Holds(before.ID()) || seal.CheckRoot(ring, before.ID()) != nil {
		t.Errorf("the ring wraps under %s", ring.ID())
	}
	if got, err := ring.Unwrap(t.Context(), wrapped, nil); err != nil || string(got.Reveal()) != "x" {
		t.Errorf("what the other root key wrapped: %v", err)
	}
	fresh, err := ring.Wrap(t.Context(), secret.New([]byte("x")), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.Unwrap(t.Context(), fresh, nil); err == nil {
		t.Error("the root key before opens what is new")
	}
}
