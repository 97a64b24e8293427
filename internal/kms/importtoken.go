// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"claviger/internal/engine"
	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// An import token is all that the server knows of a pair of wrapping keys: it keeps none itself,
// so that any node and any process after this one can open it. It is sealed under the KEK of the
// key's vault and bound to the key; docs/formats.md has its form.

const (
	importTokenFormat = 1
	importTokenHead   = 1 + 4 // format, generation of the KEK
)

// importToken is what a token holds.
type importToken struct {
	expiresAt time.Time // domain time, whole seconds
	wrapping  keys.Wrapping
	spec      keys.Spec // of the wrapping key
	private   secret.Bytes
}

// ImportParametersRequest asks for a wrapping key.
type ImportParametersRequest struct {
	Key      KeyRef
	Spec     keys.Spec // of the wrapping key: RSA_2048 or EC_SM2
	Wrapping keys.Wrapping
}

// ImportParameters are a wrapping key and the token that goes with it.
type ImportParameters struct {
	Key       *keys.Key
	PublicKey []byte // DER SubjectPublicKeyInfo
	Token     []byte
	ExpiresAt time.Time
}

// ImportParameters makes a pair of keys to import the material of a key with, again and again
// until the profile's life of import tokens is over.
func (s *Service) ImportParameters(ctx context.Context, c *Call, req ImportParametersRequest) (*ImportParameters, error) {
	return use(ctx, s, c, keys.ReadImportParameters, func(u *using) (*ImportParameters, error) {
		at, err := u.locate(req.Key, keys.ReadImportParameters)
		if err != nil {
			return nil, err
		}
		if err := takesMaterial(at.key, keys.ReadImportParameters); err != nil {
			return nil, err
		}
		if err := engine.Unwraps(req.Spec, req.Wrapping); err != nil {
			return nil, &keys.Error{Kind: keys.KindUnsupported, Field: "wrapping", Err: err, Hint: err.Error()}
		}
		end, err := s.begin()
		if err != nil {
			return nil, err
		}
		defer end()
		pair, err := s.pool.Generate(ctx, req.Spec)
		if err != nil {
			return nil, err
		}
		defer pair.Private.Wipe()
		t := importToken{
			expiresAt: u.now.Add(c.Profile.ImportTokenLife).Truncate(time.Second), wrapping: req.Wrapping, spec: req.Spec, private: pair.Private,
		}
		sealed, err := s.sealImportToken(ctx, at, t)
		if err != nil {
			return nil, err
		}
		return &ImportParameters{Key: at.key, PublicKey: pair.Public, Token: sealed, ExpiresAt: t.expiresAt}, nil
	})
}

func importTokenAAD(k *keys.Key, generation uint32) []byte {
	return seal.AAD{
		Purpose: seal.PurposeImportWrapper, Tenant: k.Tenant, Vault: k.Vault, Key: k.ID, Generation: int64(generation),
	}.Bytes()
}

func (s *Service) sealImportToken(ctx context.Context, at *located, t importToken) ([]byte, error) {
	k, generation := at.key, uint32(at.vault.KEKGeneration) //nolint:gosec // counts from 1
	kek, err := s.vaultKEK(ctx, k.Tenant, k.Vault, at.vault.KEKGeneration)
	if err != nil {
		return nil, err
	}
	plain := secret.New(t.append(nil))
	defer plain.Wipe()
	box, err := seal.SealBox(s.rand, kek, importTokenAAD(k, generation), plain)
	if err != nil {
		return nil, err
	}
	head := binary.BigEndian.AppendUint32([]byte{importTokenFormat}, generation)
	return append(head, box...), nil
}

// openImportToken opens a token of k. A token of another key, an altered one and none at all are
// the same refusal.
func (s *Service) openImportToken(ctx context.Context, k *keys.Key, token []byte) (importToken, error) {
	refused := &keys.Error{Kind: keys.KindImportToken, Hint: "this is no import token of this key: use the one that came with the wrapping key, and new parameters if the vault was resealed since"}
	if len(token) < importTokenHead || token[0] != importTokenFormat {
		return importToken{}, refused
	}
	generation := binary.BigEndian.Uint32(token[1:])
	kek, err := s.vaultKEK(ctx, k.Tenant, k.Vault, int(generation))
	if errors.Is(err, store.ErrNotFound) {
		return importToken{}, refused
	}
	if err != nil {
		return importToken{}, err
	}
	plain, err := seal.OpenBox(kek, importTokenAAD(k, generation), token[importTokenHead:])
	if errors.Is(err, seal.ErrOpen) {
		return importToken{}, refused
	}
	if err != nil {
		return importToken{}, err
	}
	defer plain.Wipe()
	t, err := parseImportToken(plain.Reveal())
	if err != nil {
		return importToken{}, refused
	}
	return t, nil
}

// append appends the token's content: expiry in seconds since 1970 (8 bytes), the names of the
// wrapping and of the wrapping key's spec, each after its length (1 byte), the private key.
func (t importToken) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(t.expiresAt.Unix())) //nolint:gosec // its bits, whatever the sign
	for _, name := range []string{string(t.wrapping), string(t.spec)} {
		b = append(append(b, byte(len(name))), name...) //nolint:gosec // our own short names
	}
	return append(b, t.private.Reveal()...)
}

var errToken = errors.New("not the content of an import token")

// parseImportToken reads what append wrote. The private key is a copy.
func parseImportToken(b []byte) (importToken, error) {
	if len(b) < 8 {
		return importToken{}, errToken
	}
	t := importToken{expiresAt: time.Unix(int64(binary.BigEndian.Uint64(b)), 0).UTC()} //nolint:gosec // as it was written
	b = b[8:]
	var names [2]string
	for i := range names {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return importToken{}, errToken
		}
		end := 1 + int(b[0])
		names[i], b = string(b[1:end]), b[end:]
	}
	t.wrapping, t.spec, t.private = keys.Wrapping(names[0]), keys.Spec(names[1]), secret.Copy(b)
	return t, nil
}
