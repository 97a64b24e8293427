// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/rand"
	"fmt"
	"testing"

	"claviger/internal/keys"
)

// One envelope costs the same under each AES size; 256 stands for all.
func BenchmarkSeal(b *testing.B) {
	for _, size := range []int{32, 4096} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			k, plaintext := fixedKey(b, keys.AES256), make([]byte, size)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := k.Seal(rand.Reader, testKeyID, testHeader, nil, plaintext); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkUnseal(b *testing.B) {
	for _, size := range []int{32, 4096} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			k := fixedKey(b, keys.AES256)
			blob, err := k.Seal(rand.Reader, testKeyID, testHeader, nil, make([]byte, size))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, _, err := k.Unseal(testKeyID, blob, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	for _, spec := range asymmetric() {
		b.Run(string(spec), func(b *testing.B) {
			k, alg := fixedKey(b, spec), signAlgorithms(spec)[0]
			digest := k.Public().Digest(alg, []byte("message"))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Sign(rand.Reader, alg, digest); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, spec := range asymmetric() {
		b.Run(string(spec), func(b *testing.B) {
			k, alg := fixedKey(b, spec), signAlgorithms(spec)[0]
			digest := k.Public().Digest(alg, []byte("message"))
			sig, err := k.Sign(rand.Reader, alg, digest)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := k.Verify(alg, digest, sig); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for spec := range specs {
		b.Run(string(spec), func(b *testing.B) {
			m := fixedMaterial(b, spec)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Open(spec, m.Private); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGenerate(b *testing.B) {
	for spec := range specs {
		b.Run(string(spec), func(b *testing.B) {
			for b.Loop() {
				if _, err := Generate(rand.Reader, spec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
