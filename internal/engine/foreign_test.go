// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"claviger/internal/keys"
)

func TestOpenForeign(t *testing.T) {
	t.Parallel()
	secretBytes := bytes.Repeat([]byte{7}, 32)
	for spec, algs := range map[keys.Spec][]keys.Algorithm{
		keys.RSA2048: {keys.OAEPSHA256, keys.OAEPSHA1}, keys.SM2: {keys.SM2PKE},
	} {
		k := fixedKey(t, spec)
		p, err := OpenForeign(spec, k.Public().DER())
		if err != nil {
			t.Fatal(err)
		}
		for _, alg := range algs {
			ct, err := p.Encrypt(rand.Reader, alg, secretBytes)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := k.Decrypt(alg, ct); err != nil || !bytes.Equal(got, secretBytes) {
				t.Errorf("%s: %v", alg, err)
			}
		}
		for _, other := range []keys.Spec{keys.RSA2048, keys.RSA3072, keys.SM2} {
			if _, err := OpenForeign(other, k.Public().DER()); other != spec && !errors.Is(err, ErrMaterial) {
				t.Errorf("%s as %s: %v", spec, other, err)
			}
		}
		long := append(bytes.Clone(k.Public().DER()), make([]byte, maxForeign)...)
		if _, err := OpenForeign(spec, long); !errors.Is(err, ErrMaterial) || !strings.HasSuffix(err.Error(), " bytes") {
			t.Errorf("%s, not refused for its length: %v", spec, err)
		}
	}
	for _, spec := range []keys.Spec{keys.AES256, keys.SM4, keys.HMACSM3, keys.ECP256, keys.SECP256K1, "", "DSA"} {
		if _, err := OpenForeign(spec, fixedKey(t, keys.RSA2048).Public().DER()); !errors.Is(err, ErrSpec) {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

// FuzzOpenForeign: a foreign key is refused or encrypts; nothing else happens.
func FuzzOpenForeign(f *testing.F) {
	f.Add(fixedKey(f, keys.RSA2048).Public().DER())
	f.Add(sm2Sample(f).Public().DER())
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		for spec, alg := range map[keys.Spec]keys.Algorithm{keys.RSA2048: keys.OAEPSHA256, keys.SM2: keys.SM2PKE} {
			p, err := OpenForeign(spec, der)
			if err != nil {
				if !errors.Is(err, ErrMaterial) {
					t.Fatal(err)
				}
				continue
			}
			if ct, err := p.Encrypt(rand.Reader, alg, make([]byte, 32)); err != nil || len(ct) == 0 {
				t.Fatal(err)
			}
		}
	})
}
