// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/rand"
	"sync"
	"testing"

	"claviger/internal/keys"
)

// fixed holds one material per spec for the whole test process: RSA-4096 takes seconds.
var fixed = sync.OnceValue(func() map[keys.Spec]func() (Material, error) {
	m := make(map[keys.Spec]func() (Material, error))
	for spec := range specs {
		m[spec] = sync.OnceValues(func() (Material, error) { return Generate(rand.Reader, spec) })
	}
	return m
})

func fixedMaterial(tb testing.TB, spec keys.Spec) Material {
	tb.Helper()
	if testing.Short() && spec == keys.RSA4096 {
		tb.Skip("RSA-4096 generation takes seconds")
	}
	m, err := fixed()[spec]()
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func fixedKey(tb testing.TB, spec keys.Spec) *Key {
	tb.Helper()
	k, err := Open(spec, fixedMaterial(tb, spec).Private)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

var (
	testKeyID  = keys.ID{0x4b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	testHeader = testHeaderOf(keys.AES256)
)

// testHeaderOf is a header as a key of spec seals it.
func testHeaderOf(spec keys.Spec) Header {
	return Header{Version: keys.ID{0x56, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, Suite: suiteOf(spec)}
}

// symmetric lists the specs that have an envelope.
func symmetric() []keys.Spec { return specsWhere(keys.Spec.Sealing) }

func asymmetric() []keys.Spec {
	return specsWhere(func(s keys.Spec) bool { return !s.Symmetric() })
}

// specsWhere lists the engine's specs that satisfy keep, in the fixed order of keys.Specs.
func specsWhere(keep func(keys.Spec) bool) []keys.Spec {
	var out []keys.Spec
	for _, s := range keys.Specs() {
		if _, ok := specs[s]; ok && keep(s) {
			out = append(out, s)
		}
	}
	return out
}

// signAlgorithms lists what a key of spec signs with.
func signAlgorithms(spec keys.Spec) []keys.Algorithm { return algorithmsFor(spec, keys.UsageSign) }

// encryptAlgorithms lists what a key of spec encrypts with.
func encryptAlgorithms(spec keys.Spec) []keys.Algorithm {
	return algorithmsFor(spec, keys.UsageEncrypt)
}

func algorithmsFor(spec keys.Spec, usage keys.Usage) []keys.Algorithm {
	var out []keys.Algorithm
	for _, alg := range allAlgorithms() {
		if u, ok := alg.Fits(spec); ok && u == usage {
			out = append(out, alg)
		}
	}
	return out
}

func allAlgorithms() []keys.Algorithm {
	return []keys.Algorithm{
		keys.Envelope, keys.OAEPSHA1, keys.OAEPSHA256,
		keys.PSSSHA224, keys.PSSSHA256, keys.PSSSHA384, keys.PSSSHA512,
		keys.PKCS1SHA224, keys.PKCS1SHA256, keys.PKCS1SHA384, keys.PKCS1SHA512,
		keys.ECDSASHA256, keys.ECDSASHA384, keys.ECDSASHA512,
		keys.SM2PKE, keys.SM2DSA,
		keys.MACSHA224, keys.MACSHA256, keys.MACSHA384, keys.MACSHA512, keys.MACSM3,
	}
}
