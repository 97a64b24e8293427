// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"

	"claviger/internal/engine"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// MaxEnvelopePlaintext is the most that any dialect lets encrypt, in bytes: decryption accepts
// what the most generous of them made. Other ciphertexts than envelopes hold no more either.
const MaxEnvelopePlaintext = 8192

// rsaTrials bounds how many versions are tried for an RSA or SM2 ciphertext that names none.
const rsaTrials = 64

// Encrypt encrypts a plaintext with a key's version.
func (s *Service) Encrypt(ctx context.Context, c *Call, req EncryptRequest) (*EncryptResult, error) {
	return use(ctx, s, c, keys.Encrypt, func(u *using) (*EncryptResult, error) {
		at, err := u.locate(req.Key, keys.Encrypt)
		if err != nil {
			return nil, err
		}
		alg, err := algorithmFor(at.key, req.Algorithm, keys.UsageEncrypt)
		if err != nil {
			return nil, err
		}
		v, material, err := u.versionFor(at, req.Version)
		if err != nil {
			return nil, err
		}
		out := &EncryptResult{Key: at.key, Version: v, Algorithm: alg}
		if alg == keys.Envelope {
			out.Ciphertext, err = u.seal(at.key, v, material, req.Plaintext, req.Text, req.Context)
			return out, err
		}
		if len(req.Context) > 0 {
			return nil, errContext()
		}
		if len(req.Plaintext) > MaxEnvelopePlaintext { // SM2 has no capacity of its own
			return nil, &keys.Error{Kind: keys.KindTooLarge, Field: "plaintext"}
		}
		out.Ciphertext, err = material.Encrypt(s.rand, alg, req.Plaintext)
		return out, engineError(err, "plaintext")
	})
}

func (u *using) seal(k *keys.Key, v *keys.Version, material *engine.Key, plaintext []byte, text bool, pairs map[string]string) ([]byte, error) {
	if len(plaintext) > MaxEnvelopePlaintext {
		return nil, &keys.Error{Kind: keys.KindTooLarge, Field: "plaintext"}
	}
	encctx, err := engine.CanonicalContext(pairs)
	if err != nil {
		return nil, engineError(err, "context")
	}
	h := engine.Header{Version: v.ID}
	if text {
		h.Flags |= engine.FlagText
	}
	out, err := material.Seal(u.s.rand, k.ID, h, encctx, plaintext)
	return out, engineError(err, "plaintext")
}

// Decrypt opens a ciphertext. Until the version is found, a missing one, another tenant's and
// an erased one are the same not-found; from the authenticated part on there is one error.
func (s *Service) Decrypt(ctx context.Context, c *Call, req DecryptRequest) (*DecryptResult, error) {
	return use(ctx, s, c, keys.Decrypt, func(u *using) (*DecryptResult, error) { return u.decrypt(req) })
}

func (u *using) decrypt(req DecryptRequest) (*DecryptResult, error) {
	ref, vref, err := u.source(req)
	if err != nil {
		return nil, err
	}
	at, err := u.locate(ref, keys.Decrypt)
	if err != nil {
		return nil, err
	}
	alg, err := algorithmFor(at.key, req.Algorithm, keys.UsageEncrypt)
	if err != nil {
		return nil, err
	}
	if alg != keys.Envelope {
		return u.decryptAsymmetric(at, alg, req)
	}
	return u.unseal(at, vref, req)
}

// source finds which key a ciphertext belongs to, where the request does not name one.
func (u *using) source(req DecryptRequest) (KeyRef, VersionRef, error) {
	if req.Key != nil {
		return *req.Key, req.Version, nil
	}
	h, err := engine.ParseHeader(req.Ciphertext)
	if err != nil {
		return KeyRef{}, VersionRef{}, engineError(err, "ciphertext")
	}
	v, err := u.version(h.Version)
	if err != nil {
		return KeyRef{}, VersionRef{}, notFound(err, keys.TypeKey)
	}
	if v.Effective(u.now) == keys.Deleted {
		u.tells().tell(v.Revision)
		return KeyRef{}, VersionRef{}, keys.NotFound(keys.TypeKey)
	}
	return KeyRef{ID: v.Key, Accept: req.Accept, HideDeleted: true}, VersionRef{ID: h.Version}, nil
}

// unseal opens an envelope under the located key. The envelope must name one of its versions,
// and the one that the request names, if it does.
func (u *using) unseal(at *located, vref VersionRef, req DecryptRequest) (*DecryptResult, error) {
	h, err := engine.ParseHeader(req.Ciphertext)
	if err != nil {
		return nil, engineError(err, "ciphertext")
	}
	if !vref.IsZero() {
		named, err := versionOf(u, u.c, at, vref, u.now)
		if err != nil {
			return nil, err
		}
		if named.ID != h.Version {
			return nil, &keys.Error{Kind: keys.KindCiphertext}
		}
	}
	v, material, err := u.versionFor(at, VersionRef{ID: h.Version})
	if err != nil {
		if e := keys.AsError(err); e.Kind == keys.KindNotFound || (e.Kind == keys.KindState && e.State == keys.Deleted) {
			return nil, &keys.Error{Kind: keys.KindCiphertext}
		}
		return nil, err
	}
	encctx, err := engine.CanonicalContext(req.Context)
	if err != nil {
		return nil, engineError(err, "context")
	}
	plaintext, h, err := material.Unseal(at.key.ID, req.Ciphertext, encctx)
	if err != nil {
		return nil, engineError(err, "ciphertext")
	}
	return &DecryptResult{Key: at.key, Version: v, Algorithm: keys.Envelope, Plaintext: plaintext, Text: h.Flags&engine.FlagText != 0}, nil
}

// decryptAsymmetric opens a plain RSA or SM2 block. With no version named it tries the primary and
// then the older ones, newest first: the block has no room to say which it was.
func (u *using) decryptAsymmetric(at *located, alg keys.Algorithm, req DecryptRequest) (*DecryptResult, error) {
	if len(req.Context) > 0 {
		return nil, errContext()
	}
	v, material, err := u.versionFor(at, req.Version)
	if err != nil {
		return nil, err
	}
	plaintext, err := material.Decrypt(alg, req.Ciphertext)
	if err == nil || !req.Version.IsZero() || !errors.Is(err, engine.ErrCiphertext) {
		return &DecryptResult{Key: at.key, Version: v, Algorithm: alg, Plaintext: plaintext}, engineError(err, "ciphertext")
	}
	older, err := u.olderVersions(at.key)
	if err != nil {
		return nil, err
	}
	for _, id := range older {
		v, material, err := u.versionFor(at, VersionRef{ID: id})
		if err != nil {
			continue // scheduled for deletion, or erased meanwhile
		}
		if plaintext, err := material.Decrypt(alg, req.Ciphertext); err == nil {
			return &DecryptResult{Key: at.key, Version: v, Algorithm: alg, Plaintext: plaintext}, nil
		}
	}
	return nil, &keys.Error{Kind: keys.KindCiphertext}
}

func (u *using) olderVersions(k *keys.Key) ([]keys.ID, error) {
	var out []keys.ID
	err := u.s.store.View(u.ctx, func(tx store.Tx) error {
		rows, err := tx.Versions(store.VersionQuery{Key: k.ID, HideDeleted: true, Desc: true, Limit: rsaTrials})
		for _, v := range rows {
			if v.ID != k.Primary {
				out = append(out, v.ID)
			}
		}
		return err
	})
	return out, err
}

// GenerateDataKey makes a random data key and encrypts it under the key's primary version.
func (s *Service) GenerateDataKey(ctx context.Context, c *Call, req DataKeyRequest) (*DataKeyResult, error) {
	return use(ctx, s, c, keys.GenerateDataKey, func(u *using) (*DataKeyResult, error) { return u.generateDataKey(req) })
}

func (u *using) generateDataKey(req DataKeyRequest) (*DataKeyResult, error) {
	at, err := u.locate(req.Key, keys.GenerateDataKey)
	if err != nil {
		return nil, err
	}
	if _, err := algorithmFor(at.key, keys.Envelope, keys.UsageEncrypt); err != nil {
		return nil, err
	}
	if req.Bytes < 1 || req.Bytes > MaxEnvelopePlaintext {
		return nil, keys.Invalid("bytes", fmt.Sprintf("a data key has 1 to %d bytes", MaxEnvelopePlaintext))
	}
	v, material, err := u.versionFor(at, VersionRef{})
	if err != nil {
		return nil, err
	}
	dek, err := engine.Random(u.s.rand, req.Bytes)
	if err != nil {
		return nil, err
	}
	ciphertext, err := u.seal(at.key, v, material, dek.Reveal(), false, req.Context)
	if err != nil {
		dek.Wipe()
		return nil, err
	}
	return &DataKeyResult{Key: at.key, Version: v, Plaintext: dek.Reveal(), Ciphertext: ciphertext}, nil
}

// Sign signs a message or digest with a key's version.
func (s *Service) Sign(ctx context.Context, c *Call, req SignRequest) (*SignResult, error) {
	return use(ctx, s, c, keys.Sign, func(u *using) (*SignResult, error) {
		at, v, material, err := u.signer(req, keys.Sign)
		if err != nil {
			return nil, err
		}
		sig, err := material.Sign(s.rand, req.Algorithm, digest(material, req))
		return &SignResult{Key: at.key, Version: v, Signature: sig}, engineError(err, "digest")
	})
}

// Verify checks a signature with a key's version. A wrong signature is an answer, not an error.
func (s *Service) Verify(ctx context.Context, c *Call, req VerifyRequest) (*VerifyResult, error) {
	return use(ctx, s, c, keys.Verify, func(u *using) (*VerifyResult, error) {
		at, v, material, err := u.signer(req.SignRequest, keys.Verify)
		if err != nil {
			return nil, err
		}
		valid, err := material.Verify(req.Algorithm, digest(material, req.SignRequest), req.Signature)
		return &VerifyResult{Key: at.key, Version: v, Valid: valid}, engineError(err, "digest")
	})
}

func (u *using) signer(req SignRequest, act keys.Action) (*located, *keys.Version, *engine.Key, error) {
	at, err := u.locate(req.Key, act)
	if err != nil {
		return nil, nil, nil, err
	}
	if _, err := algorithmFor(at.key, req.Algorithm, keys.UsageSign); err != nil {
		return nil, nil, nil, err
	}
	v, material, err := u.versionFor(at, req.Version)
	return at, v, material, err
}

func digest(material *engine.Key, req SignRequest) []byte {
	if req.Digest != nil {
		return req.Digest
	}
	return material.Public().Digest(req.Algorithm, req.Message)
}

// PublicKey reads the public half of a key's version.
func (s *Service) PublicKey(ctx context.Context, c *Call, ref KeyRef, vref VersionRef) (*keys.Key, *keys.Version, error) {
	var k *keys.Key
	v, err := use(ctx, s, c, keys.ReadPublicKey, func(u *using) (*keys.Version, error) {
		at, err := u.locate(ref, keys.ReadPublicKey)
		if err != nil {
			return nil, err
		}
		if at.key.Spec.Symmetric() {
			return nil, &keys.Error{Kind: keys.KindUnsupported, Noun: keys.TypeKey, Field: "spec", Action: keys.ReadPublicKey, Hint: "a symmetric key has no public half"}
		}
		k = at.key
		v, _, err := u.versionFor(at, vref)
		return v, err
	})
	return k, v, err
}

// algorithmFor decides the algorithm of a call: the one asked for, or the envelope, which is
// the only one that symmetric keys have. It must fit the key's spec and usages.
func algorithmFor(k *keys.Key, asked keys.Algorithm, usage keys.Usage) (keys.Algorithm, error) {
	alg := orElse(asked, keys.Envelope)
	of, fits := alg.Fits(k.Spec)
	switch {
	case !k.Usages.Has(usage):
		return "", &keys.Error{Kind: keys.KindUnsupported, Noun: keys.TypeKey, Field: "usage", Hint: "the key is for " + k.Usages.String() + ", not for " + usage.String()}
	case !fits || of != usage:
		return "", &keys.Error{Kind: keys.KindUnsupported, Noun: keys.TypeKey, Field: "algorithm", Hint: "a " + string(k.Spec) + " key does not " + usage.String() + " with " + string(alg)}
	}
	return alg, nil
}

func errContext() error {
	return &keys.Error{Kind: keys.KindUnsupported, Field: "context", Hint: "an encryption context goes with symmetric keys only"}
}

// engineError turns the engine's errors into the core's. Every fault of a ciphertext is one kind.
func engineError(err error, field string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrCiphertext):
		return &keys.Error{Kind: keys.KindCiphertext}
	case errors.Is(err, engine.ErrWrapped):
		return errMaterial()
	case errors.Is(err, engine.ErrTooLong):
		return &keys.Error{Kind: keys.KindTooLarge, Field: field, Hint: "the plaintext is longer than the key can encrypt"}
	case errors.Is(err, engine.ErrEmpty):
		return keys.Invalid(field, "the algorithm cannot encrypt an empty plaintext")
	case errors.Is(err, engine.ErrDigestSize):
		return keys.Invalid(field, "the digest is not as long as the algorithm's hash")
	case errors.Is(err, engine.ErrContext):
		return keys.Invalid("context", "the encryption context is not valid UTF-8")
	case errors.Is(err, engine.ErrAlgorithm):
		return &keys.Error{Kind: keys.KindUnsupported, Field: "algorithm", Err: err, Hint: err.Error()}
	}
	return err
}
