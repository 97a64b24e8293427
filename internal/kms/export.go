// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"

	"claviger/internal/engine"
	"claviger/internal/keys"
)

// WrappingKey is a public key of somebody else that a data key leaves under.
type WrappingKey struct {
	Spec      keys.Spec      // RSA or SM2
	Algorithm keys.Algorithm // of that spec, for encryption
	SPKI      []byte         // DER SubjectPublicKeyInfo
}

// ExportRequest opens a data key's ciphertext, an envelope, and encrypts it under a public key.
type ExportRequest struct {
	Source DecryptRequest
	Under  WrappingKey
}

// ExportResult is a data key under a public key, and the key that it was opened with.
type ExportResult struct {
	Key     *keys.Key
	Version *keys.Version
	Wrapped []byte
}

// ExportDataKey moves a data key from under a key to under a foreign public key. Whoever may
// decrypt may do this, since they could do it by themselves: the public key is their choice. The
// record says which it was.
func (s *Service) ExportDataKey(ctx context.Context, c *Call, req ExportRequest) (*ExportResult, error) {
	return use(ctx, s, c, keys.ExportDataKey, func(u *using) (*ExportResult, error) {
		public, err := u.wrappingKey(req.Under)
		if err != nil {
			return nil, err
		}
		data, err := u.decrypt(req.Source)
		if err != nil {
			return nil, err
		}
		defer data.wipe()
		wrapped, err := u.wrap(public, req.Under.Algorithm, data.Plaintext)
		return &ExportResult{Key: data.Key, Version: data.Version, Wrapped: wrapped}, err
	})
}

// GenerateAndExportResult is a new data key, under its key and under a public key.
type GenerateAndExportResult struct {
	Key        *keys.Key
	Version    *keys.Version
	Ciphertext []byte
	Wrapped    []byte
}

// GenerateAndExportDataKey makes a random data key that nobody sees: it is answered under a key
// and under a foreign public key.
func (s *Service) GenerateAndExportDataKey(ctx context.Context, c *Call, req DataKeyRequest, under WrappingKey) (*GenerateAndExportResult, error) {
	return use(ctx, s, c, keys.GenerateDataKey, func(u *using) (*GenerateAndExportResult, error) {
		public, err := u.wrappingKey(under)
		if err != nil {
			return nil, err
		}
		data, err := u.generateDataKey(req)
		if err != nil {
			return nil, err
		}
		defer data.wipe()
		wrapped, err := u.wrap(public, under.Algorithm, data.Plaintext)
		return &GenerateAndExportResult{Key: data.Key, Version: data.Version, Ciphertext: data.Ciphertext, Wrapped: wrapped}, err
	})
}

// wrappingKeyContext is the name in the event's context of a wrapping key's fingerprint: SHA-256
// of its SubjectPublicKeyInfo, in hex.
const wrappingKeyContext = "wrapping_key_sha256"

// wrappingKey opens a foreign public key and records which it is.
func (u *using) wrappingKey(w WrappingKey) (*engine.PublicKey, error) {
	if of, fits := w.Algorithm.Fits(w.Spec); !fits || of != keys.UsageEncrypt {
		return nil, keys.Invalid("algorithm", "a key of "+string(w.Spec)+" does not wrap with "+string(w.Algorithm))
	}
	public, err := engine.OpenForeign(w.Spec, w.SPKI)
	switch {
	case errors.Is(err, engine.ErrFIPS), errors.Is(err, engine.ErrSpec):
		return nil, &keys.Error{Kind: keys.KindUnsupported, Field: "wrappingKey", Err: err, Hint: err.Error()}
	case err != nil:
		return nil, keys.Invalid("publicKey", "the public key is not the DER SubjectPublicKeyInfo of a valid "+string(w.Spec)+" key")
	}
	u.record(w.SPKI)
	return public, nil
}

// record notes a foreign public key under which something leaves.
func (u *using) record(spki []byte) {
	sum := sha256.Sum256(spki)
	about := maps.Clone(u.ev.Context)
	if about == nil {
		about = map[string]string{}
	}
	about[wrappingKeyContext] = hex.EncodeToString(sum[:])
	u.ev.Context = about
}

func (u *using) wrap(public *engine.PublicKey, alg keys.Algorithm, data []byte) ([]byte, error) {
	wrapped, err := public.Encrypt(u.s.rand, alg, data)
	if errors.Is(err, engine.ErrTooLong) {
		return nil, &keys.Error{Kind: keys.KindTooLarge, Field: "dataKey", Hint: "the data key is longer than the public key can wrap"}
	}
	return wrapped, engineError(err, "dataKey")
}
