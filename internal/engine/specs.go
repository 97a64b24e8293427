// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/fips140"
	"fmt"
	"io"

	"claviger/internal/keys"
)

// kind is how the material of a spec is made and opened.
type kind struct {
	generate   func(rand io.Reader, spec keys.Spec) (Material, error)
	open       func(spec keys.Spec, private []byte) (*Key, error)
	openPublic func(spec keys.Spec, spki []byte) (publicKey, error) // nil: no public half
	approved   bool                                                 // by FIPS 140-3
}

// specs is every spec that the engine serves.
var specs = map[keys.Spec]kind{
	keys.AES128:     {generateSecret, openSecret, nil, true},
	keys.AES192:     {generateSecret, openSecret, nil, true},
	keys.AES256:     {generateSecret, openSecret, nil, true},
	keys.RSA2048:    {generateRSA, openRSA, openRSAPublic, true},
	keys.RSA3072:    {generateRSA, openRSA, openRSAPublic, true},
	keys.RSA4096:    {generateRSA, openRSA, openRSAPublic, true},
	keys.ECP256:     {generateEC, openEC, openECPublic, true},
	keys.ECP384:     {generateEC, openEC, openECPublic, true},
	keys.ECP521:     {generateEC, openEC, openECPublic, true},
	keys.SECP256K1:  {generateK1, openK1, openK1Public, false},
	keys.SM2:        {generateSM2, openSM2, openSM2Public, false},
	keys.SM4:        {generateSecret, openSecret, nil, false},
	keys.HMACSHA224: {generateSecret, openSecret, nil, true},
	keys.HMACSHA256: {generateSecret, openSecret, nil, true},
	keys.HMACSHA384: {generateSecret, openSecret, nil, true},
	keys.HMACSHA512: {generateSecret, openSecret, nil, true},
	keys.HMACSM3:    {generateSecret, openSecret, nil, false},
}

// Supported reports whether the engine serves spec in the mode that this process runs in:
// nil, [ErrSpec], or [ErrFIPS].
func Supported(spec keys.Spec) error {
	_, err := kindOf(spec)
	return err
}

func kindOf(spec keys.Spec) (kind, error) {
	k, ok := specs[spec]
	if !ok {
		return kind{}, fmt.Errorf("%w: %q", ErrSpec, string(spec))
	}
	if !k.approved && fips140.Enforced() {
		return kind{}, refusedByFIPS(string(spec))
	}
	return k, nil
}

// refusedByFIPS is both [ErrFIPS] and [ErrAlgorithm].
func refusedByFIPS(name string) error {
	return fmt.Errorf("%w: %s is %w", ErrAlgorithm, name, ErrFIPS)
}
