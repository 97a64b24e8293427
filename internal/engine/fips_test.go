// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/rand"
	"errors"
	"testing"

	"claviger/internal/fipstest"
	"claviger/internal/keys"
	"claviger/internal/secret"
)

// TestFIPS asks for what is refused while FIPS 140-3 is enforced, and uses the rest.
func TestFIPS(t *testing.T) {
	t.Parallel()
	if !fipstest.Enforced(t) {
		return
	}
	wantFIPS := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrFIPS) || !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, spec := range []keys.Spec{keys.SECP256K1, keys.SM2, keys.SM4, keys.HMACSM3} {
		_, err := Generate(rand.Reader, spec)
		wantFIPS("generate "+string(spec), err)
		_, err = Open(spec, secret.Bytes{})
		wantFIPS("open "+string(spec), err)
		_, err = OpenPublic(spec, nil)
		wantFIPS("open public "+string(spec), err)
		wantFIPS("supported "+string(spec), Supported(spec))
	}
	_, err := OpenForeign(keys.SM2, nil)
	wantFIPS("open foreign SM2", err)

	k := fixedKey(t, keys.RSA2048)
	_, err = k.Encrypt(rand.Reader, keys.OAEPSHA1, nil)
	wantFIPS("encrypt with OAEP-SHA-1", err)
	_, err = k.Decrypt(keys.OAEPSHA1, nil)
	wantFIPS("decrypt with OAEP-SHA-1", err)

	for _, w := range []keys.Wrapping{keys.WrapPKCS1, keys.WrapOAEPSHA1} {
		_, err = k.Unwrap(w, keys.AES256, make([]byte, 256))
		wantFIPS("unwrap with "+string(w), err)
		wantFIPS("say to unwrap with "+string(w), Unwraps(keys.RSA2048, w))
	}
	for _, w := range []keys.Wrapping{keys.WrapOAEPSHA256, keys.WrapOAEPAES} {
		material := fixedMaterial(t, keys.AES256).Private
		wrapped, err := k.Public().Wrap(rand.Reader, w, material)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := k.Unwrap(w, keys.AES256, wrapped); err != nil || !m.Private.Equal(material) {
			t.Errorf("%s: %v", w, err)
		}
	}

	testRSAEncrypt(t, k, keys.OAEPSHA256)
	for _, spec := range []keys.Spec{keys.RSA2048, keys.ECP256, keys.ECP384, keys.ECP521} {
		testSign(t, spec)
	}
	for _, spec := range []keys.Spec{keys.AES128, keys.AES192, keys.AES256} {
		testRoundTrip(t, fixedKey(t, spec))
		testTamper(t, fixedKey(t, spec))
	}
	for _, spec := range []keys.Spec{keys.HMACSHA224, keys.HMACSHA256, keys.HMACSHA384, keys.HMACSHA512} {
		testMAC(t, fixedKey(t, spec))
	}
}
