// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"claviger/internal/engine"
	"claviger/internal/keys"
)

// MACRequest asks for the message authentication code of a message. Algorithm is the key's own.
type MACRequest struct {
	Key       KeyRef
	Algorithm keys.Algorithm
	Message   []byte
}

// MACResult is a message authentication code and what made it.
type MACResult struct {
	Key     *keys.Key
	Version *keys.Version
	MAC     []byte
}

// VerifyMACRequest checks a message authentication code.
type VerifyMACRequest struct {
	MACRequest
	MAC []byte
}

// GenerateMAC makes a message authentication code.
func (s *Service) GenerateMAC(ctx context.Context, c *Call, req MACRequest) (*MACResult, error) {
	return use(ctx, s, c, keys.GenerateMAC, func(u *using) (*MACResult, error) {
		at, v, material, err := u.macKey(req, keys.GenerateMAC)
		if err != nil {
			return nil, err
		}
		mac, err := material.MAC(req.Algorithm, req.Message)
		return &MACResult{Key: at.key, Version: v, MAC: mac}, engineError(err, "message")
	})
}

// VerifyMAC checks a message authentication code, in constant time. A wrong one is an answer, not
// an error.
func (s *Service) VerifyMAC(ctx context.Context, c *Call, req VerifyMACRequest) (*VerifyResult, error) {
	return use(ctx, s, c, keys.VerifyMAC, func(u *using) (*VerifyResult, error) {
		at, v, material, err := u.macKey(req.MACRequest, keys.VerifyMAC)
		if err != nil {
			return nil, err
		}
		valid, err := material.VerifyMAC(req.Algorithm, req.Message, req.MAC)
		return &VerifyResult{Key: at.key, Version: v, Valid: valid}, engineError(err, "message")
	})
}

func (u *using) macKey(req MACRequest, act keys.Action) (*located, *keys.Version, *engine.Key, error) {
	at, err := u.locate(req.Key, act)
	if err != nil {
		return nil, nil, nil, err
	}
	if _, err := algorithmFor(at.key, req.Algorithm, keys.UsageMAC); err != nil {
		return nil, nil, nil, err
	}
	v, material, err := u.versionFor(at, VersionRef{})
	return at, v, material, err
}
