// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"testing"

	"github.com/emmansun/gmsm/sm4"
)

// TestSM4Vectors are the examples of GB/T 32907 annex A: one block, and the same a million times.
func TestSM4Vectors(t *testing.T) {
	t.Parallel()
	key := unhex(t, "0123456789abcdeffedcba9876543210")
	block, err := sm4.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	got := bytes.Clone(key)
	block.Encrypt(got, got)
	if want := unhex(t, "681edf34d206965e86b3e94f536e4246"); !bytes.Equal(got, want) {
		t.Errorf("once: %x", got)
	}
	if testing.Short() {
		return
	}
	for range 999_999 {
		block.Encrypt(got, got)
	}
	if want := unhex(t, "595298c7c6fd271f0402f804c33d3f66"); !bytes.Equal(got, want) {
		t.Errorf("a million times: %x", got)
	}
}

// TestSM4GCMVector is RFC 8998 §A.1.
func TestSM4GCMVector(t *testing.T) {
	t.Parallel()
	aead, err := newAEAD(SuiteSM4, unhex(t, "0123456789abcdeffedcba9876543210"))
	if err != nil {
		t.Fatal(err)
	}
	plaintext := unhex(t, "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd"+
		"eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa")
	got := aead.Seal(nil, unhex(t, "00001234567800000000abcd"), plaintext, unhex(t, "feedfacedeadbeeffeedfacedeadbeefabaddad2"))
	want := unhex(t, "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"+
		"d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"+"83de3541e4c2b58177e065a9bf7b62ec")
	if !bytes.Equal(got, want) {
		t.Errorf("sealed to %x", got)
	}
}

// plainBlock hides that a cipher has a GCM of its own.
type plainBlock struct{ cipher.Block }

// TestSM4GCMAgrees compares the library's GCM, which is written for each processor, with the
// standard library's over the bare cipher, around every length at which it changes its way.
func TestSM4GCMAgrees(t *testing.T) {
	t.Parallel()
	random := make([]byte, 16+nonceSize+300+40)
	_, _ = rand.Read(random)
	key, nonce, text, more := random[:16], random[16:28], random[28:328], random[328:]
	theirs, err := newAEAD(SuiteSM4, key)
	if err != nil {
		t.Fatal(err)
	}
	block, err := sm4.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := cipher.NewGCM(plainBlock{block})
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(text) + 1 {
		for _, aad := range [][]byte{nil, more[:n%len(more)]} {
			sealed := theirs.Seal(nil, nonce, text[:n], aad)
			if want := plain.Seal(nil, nonce, text[:n], aad); !bytes.Equal(sealed, want) {
				t.Fatalf("%d bytes sealed differently", n)
			}
			if got, err := theirs.Open(nil, nonce, sealed, aad); err != nil || !bytes.Equal(got, text[:n]) {
				t.Fatalf("%d bytes do not open: %v", n, err)
			}
			sealed[n%len(sealed)] ^= 1
			if _, err := theirs.Open(nil, nonce, sealed, aad); err == nil {
				t.Fatalf("%d bytes open although one was changed", n)
			}
		}
	}
}
