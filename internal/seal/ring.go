// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"claviger/internal/secret"
)

// Ring is a [Seal] that holds several root keys, as while one takes over from another: it wraps under
// one of them and unwraps under whichever something names.
type Ring struct {
	seals []Seal
	now   atomic.Int64 // index of the one that wraps
}

var _ Seal = (*Ring)(nil)

// NewRing makes a seal of others, of which the first wraps until [Ring.Use] says otherwise. It owns them.
func NewRing(first Seal, more ...Seal) *Ring { return &Ring{seals: append([]Seal{first}, more...)} }

func (r *Ring) current() Seal { return r.seals[r.now.Load()] }

// ID names the root key that wraps.
func (r *Ring) ID() string { return r.current().ID() }

// Holds reports whether the ring has a root key.
func (r *Ring) Holds(id string) bool {
	for _, s := range r.seals {
		if s.ID() == id {
			return true
		}
	}
	return false
}

// Use makes a root key that the ring holds the one that wraps.
func (r *Ring) Use(id string) {
	for i, s := range r.seals {
		if s.ID() == id {
			r.now.Store(int64(i))
			return
		}
	}
}

// Wrap is as [Seal] says.
func (r *Ring) Wrap(ctx context.Context, plaintext secret.Bytes, aad []byte) ([]byte, error) {
	return r.current().Wrap(ctx, plaintext, aad)
}

// Unwrap is as [Seal] says.
func (r *Ring) Unwrap(ctx context.Context, wrapped, aad []byte) (secret.Bytes, error) {
	for _, s := range r.seals {
		out, err := s.Unwrap(ctx, wrapped, aad)
		if _, other := errors.AsType[*WrongRootError](err); !other {
			return out, err
		}
	}
	return r.current().Unwrap(ctx, wrapped, aad)
}

// Close is as [Seal] says.
func (r *Ring) Close() error {
	var err error
	for _, s := range r.seals {
		err = errors.Join(err, s.Close())
	}
	return err
}

// Format shows the ID in every format.
func (r *Ring) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "seal "+r.ID()) }
