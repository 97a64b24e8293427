// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"claviger/internal/keys"
)

// ReEncryptRequest decrypts as Source says and encrypts the plaintext under the primary version of
// Key, a symmetric key, without showing it.
type ReEncryptRequest struct {
	Source  DecryptRequest
	Key     KeyRef
	Context map[string]string // of the new ciphertext
}

// ReEncryptResult is a new ciphertext, what made it and what opened the old one.
type ReEncryptResult struct {
	Key         *keys.Key
	Version     *keys.Version
	FromKey     *keys.Key
	FromVersion *keys.Version
	Ciphertext  []byte
}

// ReEncrypt encrypts a ciphertext's plaintext anew. The caller must be allowed to decrypt with the
// one key and to encrypt with the other. Whether the plaintext is text is kept.
func (s *Service) ReEncrypt(ctx context.Context, c *Call, req ReEncryptRequest) (*ReEncryptResult, error) {
	return use(ctx, s, c, keys.ReEncrypt, func(u *using) (*ReEncryptResult, error) {
		at, err := u.locate(req.Key, keys.Encrypt)
		if err != nil {
			return nil, err
		}
		if _, err := algorithmFor(at.key, keys.Envelope, keys.UsageEncrypt); err != nil {
			return nil, err
		}
		v, material, err := u.versionFor(at, VersionRef{})
		if err != nil {
			return nil, err
		}
		from, err := u.open(req.Source)
		if err != nil {
			return nil, err
		}
		defer from.wipe()
		out := &ReEncryptResult{Key: at.key, Version: v, FromKey: from.Key, FromVersion: from.Version}
		out.Ciphertext, err = u.seal(at.key, v, material, from.Plaintext, from.Text, req.Context)
		return out, err
	})
}

// open decrypts for a call that is about another key: the key that it opens with is recorded
// beside that one.
func (u *using) open(req DecryptRequest) (*DecryptResult, error) {
	ev := *u.ev
	ev.Key, ev.Version = keys.ID{}, keys.ID{}
	source := *u
	source.ev = &ev
	out, err := source.decrypt(req)
	u.ev.FromKey, u.ev.FromVersion = ev.Key, ev.Version
	return out, err
}
