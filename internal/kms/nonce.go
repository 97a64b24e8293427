// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// nonces remembers the signature nonces that this process saw: 8-byte keyed hashes in
// buckets by their expiry, so that whole buckets are forgotten at once. Times
// are request times. A request signed before the process started could have been seen by
// the one before, and is refused.
type nonces struct {
	wall  func() time.Time
	start time.Time
	key   [32]byte
	limit int

	mu      sync.Mutex
	count   int      // guarded by mu
	buckets []bucket // guarded by mu
}

// bucket is the nonces that expire within the same nonceBucket seconds.
type bucket struct {
	expiry int64 // in units of nonceBucket
	hashes map[uint64]struct{}
}

// nonceBucket is how many seconds of expiry share a bucket. Each request asks all buckets, of which there
// are some four then; a nonce is remembered for at most this longer than it must be.
const nonceBucket = 300

func newNonces(rand io.Reader, wall func() time.Time, limit int) (*nonces, error) {
	var key [32]byte
	if _, err := io.ReadFull(rand, key[:]); err != nil {
		return nil, fmt.Errorf("read nonce key: %w", err)
	}
	// Signed times have whole seconds.
	return &nonces{wall: wall, start: wall().Truncate(time.Second), key: key, limit: limit}, nil
}

// nonceSlack is by how much the clocks of nodes may differ, or of the machine before and after
// it started: for so much longer than its signature is good a nonce is kept in the store.
const nonceSlack = 15 * time.Minute

// Seen checks and remembers the call's nonce, after its signature verified. timestamp is the
// signed one. With [Config.StrictNonces] it is in the store before the call has any effect;
// otherwise in this process's memory, and a mutation's in its transaction as well.
func (s *Service) Seen(ctx context.Context, c *Call, timestamp time.Time) error {
	if !s.strictNonces {
		return s.nonces.seen(c, timestamp)
	}
	n := store.Nonce{Hash: c.Nonce, ExpiresAt: c.NonceExpires.Add(nonceSlack)}
	c.Nonce = [16]byte{} // it is recorded, and not a second time
	fresh := true
	var err error
	if shared := s.store.Fleet(); shared != nil {
		fresh, err = shared.Claim(ctx, n)
	} else if _, err = s.store.Update(ctx, func(tx store.Tx) error { return tx.Put(&n) }); errors.Is(err, store.ErrExists) {
		fresh, err = false, nil
	}
	switch {
	case err != nil:
		return translate(err)
	case !fresh:
		return errReplay()
	}
	return nil
}

func errReplay() error {
	return &keys.Error{Kind: keys.KindReplay, Hint: "the signature nonce was used before: use a new one for every request"}
}

func (n *nonces) seen(c *Call, timestamp time.Time) error {
	if timestamp.Before(n.start) {
		return &keys.Error{Kind: keys.KindReplay, Hint: "the request was signed before this server started, which cannot know whether it was used then: sign it again"}
	}
	h := n.hash(c.Nonce)
	expiry := c.NonceExpires.Unix() / nonceBucket

	n.mu.Lock()
	defer n.mu.Unlock()
	// The same nonce may come back under another timestamp, so every bucket is asked.
	into, known := n.find(h, expiry)
	if into == nil || known || n.count >= n.limit {
		n.forget(n.wall().Unix() / nonceBucket)
		into, known = n.find(h, expiry)
	}
	if known {
		return errReplay()
	}
	if n.count >= n.limit {
		return &keys.Error{Kind: keys.KindThrottled, Field: "nonces", Hint: "the memory for signature nonces is full; its size is a setting"}
	}
	if into == nil {
		into = map[uint64]struct{}{}
		n.buckets = append(n.buckets, bucket{expiry, into})
	}
	into[h] = struct{}{}
	n.count++
	return nil
}

// find gives the hashes of a bucket, nil if there are none, and whether h is in any bucket. n.mu is held.
func (n *nonces) find(h uint64, expiry int64) (into map[uint64]struct{}, known bool) {
	for _, b := range n.buckets {
		if _, known = b.hashes[h]; known {
			return into, true
		}
		if b.expiry == expiry {
			into = b.hashes
		}
	}
	return into, false
}

// forget drops the buckets that are over. n.mu is held.
func (n *nonces) forget(now int64) {
	n.buckets = slices.DeleteFunc(n.buckets, func(b bucket) bool {
		if b.expiry >= now {
			return false
		}
		n.count -= len(b.hashes)
		return true
	})
}

// hash is keyed, so that nobody can choose two nonces that are taken for one. All inputs have one
// length, so that the key in front is all that it takes.
func (n *nonces) hash(nonce [16]byte) uint64 {
	sum := sha256.Sum256(append(append(make([]byte, 0, len(n.key)+len(nonce)), n.key[:]...), nonce[:]...))
	return binary.BigEndian.Uint64(sum[:])
}

func (n *nonces) size() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.count
}

// recordNonce stores a mutation's nonce in its transaction: a restart does not forget it.
func recordNonce(tx store.Tx, c *Call) error {
	err := tx.Put(&store.Nonce{Hash: c.Nonce, ExpiresAt: c.NonceExpires})
	if errors.Is(err, store.ErrExists) {
		return errReplay()
	}
	return err
}
