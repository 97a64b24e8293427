// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/hmac"
	"fmt"

	"claviger/internal/keys"
)

// MAC is the HMAC (RFC 2104) of message, as long as the hash's output.
//
// Errors: [ErrAlgorithm], [ErrFIPS], [ErrWiped].
func (k *Key) MAC(alg keys.Algorithm, message []byte) ([]byte, error) {
	a, err := algorithmFor(k.spec, alg, keys.UsageMAC)
	if err != nil {
		return nil, err
	}
	if k.wiped.Load() {
		return nil, ErrWiped
	}
	h := hmac.New(a.newHash, k.secret())
	h.Write(message)
	return h.Sum(nil), nil
}

// VerifyMAC reports, in constant time, whether mac is the whole HMAC of message. A truncated
// one is a wrong one.
//
// Errors: as [Key.MAC].
func (k *Key) VerifyMAC(alg keys.Algorithm, message, mac []byte) (bool, error) {
	want, err := k.MAC(alg, message)
	if err != nil {
		return false, fmt.Errorf("verify: %w", err)
	}
	return hmac.Equal(want, mac), nil
}
