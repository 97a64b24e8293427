// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha3"
	"fmt"
	"io"
	"math/big"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"

	"claviger/internal/keys"
)

// sm2Size is the size of an SM2 scalar and field element in bytes (GB/T 32918.5).
const sm2Size = 32

// sm2UserID is the user identity of signers who have none of their own (GM/T 0009-2012 §10).
const sm2UserID = "1234567812345678"

func generateSM2(rand io.Reader, _ keys.Spec) (Material, error) {
	var scalar [sm2Size]byte
	defer clear(scalar[:])
	for {
		if _, err := io.ReadFull(rand, scalar[:]); err != nil {
			return Material{}, err
		}
		key, err := sm2.NewPrivateKey(scalar[:])
		if err != nil {
			continue // not in [1, n-2]: once in 2^32 draws
		}
		defer sm2Private{key}.wipe()
		return marshalEC(sm2Algorithm(), scalar[:], sm2Point(&key.PublicKey))
	}
}

// openSM2 takes scalars of [1, n-2] (GB/T 32918.1 §6.1). A point, where there is one, must be
// the scalar's.
func openSM2(spec keys.Spec, private []byte) (*Key, error) {
	scalar, point, err := parsePKCS8EC(spec, sm2Algorithm(), private)
	if err != nil {
		return nil, err
	}
	defer clear(scalar)
	key, err := sm2.NewPrivateKey(scalar)
	if err != nil {
		return nil, fmt.Errorf("%w: scalar is not in [1, n-2]", ErrMaterial)
	}
	if point != nil && !bytes.Equal(point, sm2Point(&key.PublicKey)) {
		sm2Private{key}.wipe()
		return nil, fmt.Errorf("%w: point is not the scalar's", ErrMaterial)
	}
	return openPrivate(spec, sm2Private{key}, sm2Public{&key.PublicKey})
}

// openSM2Public takes uncompressed points only, as GM/T 0009-2012 §7.1 writes them.
func openSM2Public(spec keys.Spec, spki []byte) (publicKey, error) {
	point, err := parseSPKI(spec, sm2Algorithm(), spki)
	if err != nil {
		return nil, err
	}
	key, err := sm2.NewPublicKey(point)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMaterial, err)
	}
	return sm2Public{key}, nil
}

// sm2Point is the uncompressed encoding of a public key.
func sm2Point(key *ecdsa.PublicKey) []byte {
	return encodeSM2(key.X, key.Y) //nolint:staticcheck // SA1019: PublicKey.Bytes knows the NIST curves only
}

func encodeSM2(x, y *big.Int) []byte {
	out := make([]byte, 1+2*sm2Size)
	out[0] = 4
	x.FillBytes(out[1 : 1+sm2Size])
	y.FillBytes(out[1+sm2Size:])
	return out
}

type sm2Private struct{ key *sm2.PrivateKey }

// sign draws the nonce from a stream that the private key, the digest and fresh randomness
// determine together, so neither a weak reader nor a repeated one gives a nonce twice.
func (s sm2Private) sign(rand io.Reader, _ algorithm, digest []byte) ([]byte, error) {
	var seed [2 * sm2Size]byte
	defer clear(seed[:])
	s.key.D.FillBytes(seed[:sm2Size])
	if _, err := io.ReadFull(rand, seed[sm2Size:]); err != nil {
		return nil, err
	}
	nonces := sha3.NewCSHAKE256(nil, []byte("claviger/sm2-nonce/1"))
	_, _ = nonces.Write(seed[:]) // a hash never fails
	_, _ = nonces.Write(digest)
	return sm2.SignASN1(nonces, s.key, digest, nil)
}

func (s sm2Private) wipe() { clear(s.key.D.Bits()) }

type sm2Public struct{ key *ecdsa.PublicKey }

func (s sm2Public) verify(_ algorithm, digest, sig []byte) bool {
	return sm2.VerifyASN1(s.key, digest, sig)
}

func (s sm2Public) marshal() ([]byte, error) { return marshalSPKI(sm2Algorithm(), sm2Point(s.key)) }

// digest is e of GB/T 32918.2 §6.1: SM3 of Z ‖ message, where Z is SM3 of the identity, the
// curve and the public key, and the identity is [sm2UserID].
func (s sm2Public) digest(message []byte) []byte {
	z, err := sm2.CalculateZA(s.key, []byte(sm2UserID))
	if err != nil {
		return nil // only for an identity that is too long
	}
	h := sm3.New()
	h.Write(z)
	h.Write(message)
	return h.Sum(nil)
}
