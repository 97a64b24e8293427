// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"

	kwp "github.com/tink-crypto/tink-go/v2/kwp/subtle"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// Unwrap opens material of spec that was wrapped under the public half of k, and checks it as
// strictly as anything from outside: a symmetric key has exactly its length; an RSA key is one
// DER PKCS #8 of two primes, without attributes, with consistent numbers, a public exponent of
// at least 65537, and the modulus of its spec. The material is in the engine's encoding.
//
// Errors: [ErrSpec] for a spec that is not imported; [ErrAlgorithm] for a wrapping that k or
// spec does not have; [ErrFIPS], [ErrWiped]; for every fault of what was wrapped [ErrWrapped].
func (k *Key) Unwrap(w keys.Wrapping, spec keys.Spec, wrapped []byte) (Material, error) {
	if err := Importable(spec); err != nil {
		return Material{}, err
	}
	plain, err := k.unwrap(w, spec, wrapped)
	var m Material
	if err == nil {
		m, err = checkImported(spec, plain)
		clear(plain)
	}
	if errors.Is(err, ErrCiphertext) || errors.Is(err, ErrMaterial) {
		return Material{}, ErrWrapped
	}
	return m, err
}

// Importable reports whether the material of a spec may come from outside: nil, [ErrSpec], or
// [ErrFIPS]. EC and SM2 keys may not; no cloud's API takes them.
func Importable(spec keys.Spec) error {
	switch spec.Family() {
	case keys.FamilyAES, keys.FamilySM4, keys.FamilyRSA:
		return Supported(spec)
	default:
		return fmt.Errorf("%w: %s keys are not imported", ErrSpec, spec)
	}
}

// Unwraps reports whether a key of spec can open a wrapping: nil, [ErrAlgorithm], or [ErrFIPS].
func Unwraps(spec keys.Spec, w keys.Wrapping) error {
	if alg, ok := whole[w]; ok {
		if _, err := algorithmFor(spec, alg, keys.UsageEncrypt); err != nil {
			return err
		}
		return Supported(spec)
	}
	switch {
	case spec.Family() != keys.FamilyRSA, w != keys.WrapOAEPAES && w != keys.WrapPKCS1:
		return fmt.Errorf("%w: %q with %s", ErrAlgorithm, string(w), spec)
	case w == keys.WrapPKCS1 && fips140.Enforced():
		return refusedByFIPS(string(w))
	}
	return nil
}

func (k *Key) unwrap(w keys.Wrapping, spec keys.Spec, wrapped []byte) ([]byte, error) {
	if alg, ok := whole[w]; ok {
		return k.Decrypt(alg, wrapped)
	}
	if err := Unwraps(k.spec, w); err != nil {
		return nil, err
	}
	r, ok := k.half().(rsaPrivate)
	switch {
	case !ok || k.wiped.Load():
		return nil, ErrWiped
	case w == keys.WrapOAEPAES:
		return k.unwrapAES(r.key.Size(), wrapped)
	case spec.Symmetric():
		return unwrapPKCS1(r.key, wrapped, spec.Bits()/8)
	}
	return nil, fmt.Errorf("%w: %q of a %s key", ErrAlgorithm, string(w), spec)
}

// unwrapAES opens an OAEP block of a temporary AES-256 key and, with that, the rest.
func (k *Key) unwrapAES(block int, wrapped []byte) ([]byte, error) {
	if len(wrapped) < block {
		return nil, ErrCiphertext
	}
	temporary, err := k.Decrypt(keys.OAEPSHA256, wrapped[:block])
	if err != nil {
		return nil, err
	}
	defer clear(temporary)
	if len(temporary) != kwpKeySize {
		return nil, ErrCiphertext
	}
	cipher, err := kwp.NewKWP(temporary)
	if err != nil {
		return nil, ErrCiphertext
	}
	plain, err := cipher.Unwrap(wrapped[block:])
	if err != nil {
		return nil, ErrCiphertext
	}
	return plain, nil
}

// unwrapPKCS1 opens size bytes. The library leaves its argument alone where the padding or the
// length is wrong, in constant time and without saying so. With two different arguments the
// results agree only where all is right: what is said is right or wrong as a whole, and its time
// does not depend on which part was wrong (RFC 8017 §7.2.2 on Bleichenbacher's attack).
func unwrapPKCS1(key *rsa.PrivateKey, wrapped []byte, size int) ([]byte, error) {
	one, other := make([]byte, size), bytes.Repeat([]byte{0xff}, size)
	defer clear(other)
	for _, into := range [][]byte{one, other} {
		err := rsa.DecryptPKCS1v15SessionKey(nil, key, wrapped, into) //nolint:staticcheck // SA1019: what clients of one cloud send
		if err != nil {
			return nil, ErrCiphertext
		}
	}
	if subtle.ConstantTimeCompare(one, other) != 1 {
		clear(one)
		return nil, ErrCiphertext
	}
	return one, nil
}

// checkImported checks material from outside and copies it.
func checkImported(spec keys.Spec, plain []byte) (Material, error) {
	k, err := Open(spec, secret.New(plain))
	if err != nil {
		return Material{}, err
	}
	defer k.Wipe()
	m := Material{Private: secret.Copy(plain)}
	r, ok := k.half().(rsaPrivate)
	if !ok {
		return m, nil
	}
	m.Public = k.Public().DER()
	if err := checkImportedRSA(r.key, plain); err != nil {
		m.Private.Wipe()
		return Material{}, err
	}
	return m, nil
}

// checkImportedRSA adds to what the parser has checked: that the encoding is the only one of
// the key, that its public exponent is not too small (FIPS 186-5 §A.1.1), that its primes are,
// and that it verifies what it signs, which the library does on its own.
func checkImportedRSA(key *rsa.PrivateKey, der []byte) error {
	again, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return ErrMaterial
	}
	defer clear(again)
	if !bytes.Equal(again, der) || key.E < 65537 {
		return ErrMaterial
	}
	for _, p := range key.Primes {
		if !p.ProbablyPrime(0) {
			return ErrMaterial
		}
	}
	if _, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, make([]byte, crypto.SHA256.Size())); err != nil {
		return ErrMaterial
	}
	return nil
}
