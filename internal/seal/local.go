// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"sync"

	"claviger/internal/secret"
)

// Sizes of what a [Local] wraps.
const (
	wrapVersion = 1
	rootIDSize  = 8
	wrapHead    = 1 + rootIDSize

	// WrapOverhead is how many bytes Wrap of a [Local] adds.
	WrapOverhead = wrapHead + nonceSize + tagSize
)

// Local is a [Seal] whose root key lies in this process's memory. It is what seals that read
// their root key from somewhere are made of. Make one with [NewLocal] or [NewMemory].
type Local struct {
	id [rootIDSize]byte

	randMu sync.Mutex // rand need not be safe for concurrent use
	rand   io.Reader

	mu   sync.RWMutex
	root secret.Bytes // guarded by mu; empty after Close
}

var _ Seal = (*Local)(nil)

// NewLocal makes a seal of root, [KeySize] bytes, and owns it from then on. Nonces are read from rand.
func NewLocal(root secret.Bytes, rand io.Reader) (*Local, error) {
	if root.Len() != KeySize {
		return nil, fmt.Errorf("the root key has %d bytes, must have %d", root.Len(), KeySize)
	}
	return &Local{id: rootID(root), rand: rand, root: root}, nil
}

// NewMemory makes a seal with a fresh root key that exists nowhere else: what it has sealed is
// lost with the process. For development and tests.
func NewMemory(rand io.Reader) (*Local, error) {
	root, err := NewKey(rand)
	if err != nil {
		return nil, err
	}
	return NewLocal(root, rand)
}

// rootID is the first 8 bytes of a key derived from the root for nothing else. HKDF is one-way,
// so the ID tells no more about the root key than whether a guess of all of it is right.
func rootID(root secret.Bytes) (id [rootIDSize]byte) {
	derived := derive(root, "claviger/root-id/1")
	defer derived.Wipe()
	copy(id[:], derived.Reveal())
	return id
}

// ID is as [Seal] says.
func (l *Local) ID() string { return hex.EncodeToString(l.id[:]) }

// Wrap seals plaintext as a version byte, the root key's ID, nonce, ciphertext and tag.
func (l *Local) Wrap(ctx context.Context, plaintext secret.Bytes, aad []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.root.Len() == 0 {
		return nil, ErrClosed
	}
	head := append([]byte{wrapVersion}, l.id[:]...)
	return appendBox(head, lockedReader{l}, l.root, aad, plaintext)
}

// Unwrap is as [Seal] says.
func (l *Local) Unwrap(ctx context.Context, wrapped, aad []byte) (secret.Bytes, error) {
	if err := ctx.Err(); err != nil {
		return secret.Bytes{}, err
	}
	if len(wrapped) < WrapOverhead {
		return secret.Bytes{}, fmt.Errorf("wrapped bytes are truncated to %d of at least %d: %w", len(wrapped), WrapOverhead, ErrOpen)
	}
	if wrapped[0] != wrapVersion {
		return secret.Bytes{}, fmt.Errorf("wrapped bytes have version %d, known is %d: %w", wrapped[0], wrapVersion, ErrOpen)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.root.Len() == 0 {
		return secret.Bytes{}, ErrClosed
	}
	if by := [rootIDSize]byte(wrapped[1:wrapHead]); by != l.id {
		return secret.Bytes{}, &WrongRootError{Want: hex.EncodeToString(by[:]), Have: l.ID()}
	}
	return openBox(l.root, wrapped[:wrapHead], aad, wrapped[wrapHead:])
}

// Close wipes the root key.
func (l *Local) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.root.Wipe()
	l.root = secret.Bytes{}
	return nil
}

// Format shows the ID in every format. Without it fmt would show the root key, since it does
// not ask unexported fields how they want to be shown.
func (l *Local) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "seal "+l.ID())
}

type lockedReader struct{ l *Local }

func (r lockedReader) Read(p []byte) (int, error) {
	r.l.randMu.Lock()
	defer r.l.randMu.Unlock()
	return r.l.rand.Read(p)
}
