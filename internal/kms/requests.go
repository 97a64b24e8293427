// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"time"

	"claviger/internal/keys"
)

// NewVault is the wish for a vault.
type NewVault struct {
	Compartment string // its name in the dialect; "" is the root
	Name        string
	Kind        keys.VaultKind
	Tags        keys.Tags
}

// VaultUpdate changes what is not nil.
type VaultUpdate struct {
	Name       *string
	Plain      *map[string]string
	Namespaced *map[string]map[string]string
}

// NewKey is the wish for a key.
type NewKey struct {
	Vault       keys.ID // zero: the vault whose endpoint was called, or else the default vault of the caller's tenant in the region
	VaultName   string  // instead of Vault: a name that the vault was given in the call's dialect
	Compartment string  // its name in the dialect; "" is the root
	Name        string
	Description string
	Spec        keys.Spec
	Usages      keys.Usage
	Origin      keys.Origin
	Protection  keys.Protection
	Rotation    *RotationPolicy
	Tags        keys.Tags
}

// KeyUpdate changes what is not nil. Action is the lifecycle action that it is checked as:
// UpdateKey or TagKey.
type KeyUpdate struct {
	Action      keys.Action
	Name        *string
	Description *string
	Plain       *map[string]string
	Namespaced  *map[string]map[string]string
	Rotation    *RotationPolicy
}

// RotationPolicy turns automatic rotation on or off.
type RotationPolicy struct {
	Enabled  bool
	Interval time.Duration // required when enabled and none is set yet; within the profile's window
	Start    time.Time     // the grid's first point; zero: the last version's creation
}

// KeyFilter selects keys for a list.
type KeyFilter struct {
	Vault       keys.ID // zero: every vault of the region
	Compartment string  // name in the dialect; "" is all
	Specs       []keys.Spec
	Protection  keys.Protection
	HideDeleted bool
	Tenant      keys.ID // for the server itself, which has no tenant; ignored for everybody else
	// Match, when set, filters further; it makes the total unknown.
	Match func(*Key) bool
}

// EncryptRequest encrypts with a key.
type EncryptRequest struct {
	Key       KeyRef
	Version   VersionRef
	Algorithm keys.Algorithm // "": the envelope, which only symmetric keys have
	Plaintext []byte
	Text      bool              // plaintext is opaque text rather than bytes; kept in the envelope's flags
	Context   map[string]string // encryption context; envelope only
}

// EncryptResult is a ciphertext and what made it.
type EncryptResult struct {
	Key        *keys.Key
	Version    *keys.Version
	Algorithm  keys.Algorithm
	Ciphertext []byte
}

// DecryptRequest decrypts. With Key nil the key is found from the envelope's version.
type DecryptRequest struct {
	Key        *KeyRef
	Version    VersionRef
	Algorithm  keys.Algorithm // "": the envelope
	Ciphertext []byte
	Context    map[string]string
	// Accept and HideDeleted, used with Key nil, are those of [KeyRef].
	Accept      func(*keys.Key) bool
	HideDeleted bool
}

// DecryptResult is a plaintext and what opened it.
type DecryptResult struct {
	Key       *keys.Key
	Version   *keys.Version
	Algorithm keys.Algorithm
	Plaintext []byte
	Text      bool
}

// wipe forgets the plaintext of an answer that is not given.
func (r *DecryptResult) wipe() {
	if r != nil {
		clear(r.Plaintext)
	}
}

// DataKeyRequest makes a random data key of Bytes bytes and encrypts it.
type DataKeyRequest struct {
	Key     KeyRef
	Bytes   int
	Context map[string]string
}

// DataKeyResult is a data key, plain and under its key.
type DataKeyResult struct {
	Key        *keys.Key
	Version    *keys.Version
	Plaintext  []byte
	Ciphertext []byte
}

// wipe forgets the plaintext of an answer that is not given.
func (r *DataKeyResult) wipe() {
	if r != nil {
		clear(r.Plaintext)
	}
}

// SignRequest signs a message, which is hashed here, or a digest. Version zero is the primary.
type SignRequest struct {
	Key       KeyRef
	Version   VersionRef
	Algorithm keys.Algorithm
	Message   []byte
	Digest    []byte // instead of Message
}

// SignResult is a signature and what made it.
type SignResult struct {
	Key       *keys.Key
	Version   *keys.Version
	Signature []byte
}

// VerifyRequest checks a signature.
type VerifyRequest struct {
	SignRequest
	Signature []byte
}

// VerifyResult tells whether a signature is valid.
type VerifyResult struct {
	Key     *keys.Key
	Version *keys.Version
	Valid   bool
}
