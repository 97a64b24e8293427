// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// macSpecs lists the specs that make MACs, each with the one algorithm that it has.
func macSpecs() map[keys.Spec]keys.Algorithm {
	return map[keys.Spec]keys.Algorithm{
		keys.HMACSHA224: keys.MACSHA224, keys.HMACSHA256: keys.MACSHA256, keys.HMACSHA384: keys.MACSHA384,
		keys.HMACSHA512: keys.MACSHA512, keys.HMACSM3: keys.MACSM3,
	}
}

// TestHMACVectors are RFC 4231 §4.3 and §4.4 and, for SM3, that of GM/T 0042. Their keys are not
// as long as ours, so Open is passed by.
func TestHMACVectors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		alg          keys.Algorithm
		key, message string
		want         string
	}{
		{
			keys.MACSM3, "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
			hex.EncodeToString([]byte(strings.Repeat("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 2))),
			"ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a",
		},
		{
			keys.MACSHA224, hex.EncodeToString([]byte("Jefe")), hex.EncodeToString([]byte("what do ya want for nothing?")),
			"a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44",
		},
		{
			keys.MACSHA256, hex.EncodeToString([]byte("Jefe")), hex.EncodeToString([]byte("what do ya want for nothing?")),
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		},
		{
			keys.MACSHA384, strings.Repeat("aa", 20), strings.Repeat("dd", 50),
			"88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
		},
		{
			keys.MACSHA512, strings.Repeat("aa", 20), strings.Repeat("dd", 50),
			"fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
		},
	} {
		k := secretKey(keys.Spec(c.alg), unhex(t, c.key))
		got, err := k.MAC(c.alg, unhex(t, c.message))
		if err != nil || hex.EncodeToString(got) != c.want {
			t.Errorf("%s: %x, %v", c.alg, got, err)
		}
	}
}

func TestHMAC(t *testing.T) {
	t.Parallel()
	for spec, alg := range macSpecs() {
		t.Run(string(spec), func(t *testing.T) {
			t.Parallel()
			k := fixedKey(t, spec)
			testMAC(t, k)
			if !spec.Symmetric() || spec.Sealing() || k.Public() != nil {
				t.Error("it is not a symmetric key without an envelope")
			}
			if _, err := k.Seal(rand.Reader, testKeyID, testHeader, nil, nil); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("seal: %v", err)
			}
			if _, _, err := k.Unseal(testKeyID, nil, nil); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("unseal: %v", err)
			}
			for _, other := range allAlgorithms() {
				if other != alg {
					_, err := k.MAC(other, nil)
					wantAlgorithm(t, "mac", other, err)
					_, err = k.VerifyMAC(other, nil, nil)
					wantAlgorithm(t, "verify mac", other, err)
				}
			}
			for _, n := range []int{0, spec.Bits()/8 - 1, spec.Bits()/8 + 1} {
				if _, err := Open(spec, secret.New(make([]byte, n))); !errors.Is(err, ErrMaterial) {
					t.Errorf("%d bytes of material: %v", n, err)
				}
			}
			k.Wipe()
			if _, err := k.MAC(alg, nil); !errors.Is(err, ErrWiped) {
				t.Errorf("after Wipe: %v", err)
			}
			if !bytes.Equal(k.secret(), make([]byte, len(k.secret()))) {
				t.Error("material is still there")
			}
		})
	}
}

func testMAC(t *testing.T, k *Key) {
	t.Helper()
	alg := macSpecs()[k.Spec()]
	message := []byte("message")
	mac, err := k.MAC(alg, message)
	if err != nil || len(mac) != k.Spec().Bits()/8 {
		t.Fatalf("%s: %d bytes, %v", alg, len(mac), err)
	}
	flipped := bytes.Clone(mac)
	flipped[len(mac)-1] ^= 1
	for _, c := range []struct {
		what         string
		message, mac []byte
		want         bool
	}{
		{"as made", message, mac, true},
		{"another message", []byte("massage"), mac, false},
		{"changed", message, flipped, false},
		{"truncated", message, mac[:len(mac)-1], false},
		{"longer", message, append(bytes.Clone(mac), 0), false},
		{"nothing", message, nil, false},
	} {
		if got, err := k.VerifyMAC(alg, c.message, c.mac); got != c.want || err != nil {
			t.Errorf("%s, %s: %t, %v", alg, c.what, got, err)
		}
	}
}

// TestOpenSSLHMAC lets OpenSSL compute the same MACs.
func TestOpenSSLHMAC(t *testing.T) {
	t.Parallel()
	d := newOpenSSL(t)
	d.write(t, "message", []byte("message"))
	for spec, alg := range macSpecs() {
		m, k := fixedMaterial(t, spec), fixedKey(t, spec)
		out := d.run(t, "dgst", "-"+opensslHash(alg), "-mac", "HMAC", "-macopt", fmt.Sprintf("hexkey:%x", m.Private.Reveal()), "message")
		want, err := k.MAC(alg, []byte("message"))
		if err != nil || !strings.Contains(out, hex.EncodeToString(want)) {
			t.Errorf("%s: %v, OpenSSL says %s", alg, err, out)
		}
	}
}
