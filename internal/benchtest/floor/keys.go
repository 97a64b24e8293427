// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
)

// keys are one of each kind, made at the start.
type keys struct {
	aead     cipher.AEAD
	ec       *ecdsa.PrivateKey
	rsa      *rsa.PrivateKey
	overhead int
}

const nonceSize = 12

func newKeys(overhead int) (*keys, error) {
	k := &keys{overhead: max(overhead, nonceSize+16)}
	secret := make([]byte, 32)
	rand.Read(secret) // it never fails
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	if k.aead, err = cipher.NewGCM(block); err != nil {
		return nil, err
	}
	if k.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	return k, err
}

// seal encrypts under a random nonce. The head is what Claviger's envelope has more, so that answers
// are of one length.
func (k *keys) seal(plaintext []byte) []byte {
	head := k.overhead - nonceSize - k.aead.Overhead()
	out := make([]byte, head+nonceSize, k.overhead+len(plaintext))
	nonce := out[head:]
	rand.Read(nonce) // it never fails
	return k.aead.Seal(out, nonce, plaintext, nil)
}

func (k *keys) open(ciphertext []byte) ([]byte, error) {
	head := k.overhead - nonceSize - k.aead.Overhead()
	if len(ciphertext) < k.overhead {
		return nil, errors.New("the ciphertext is too short")
	}
	return k.aead.Open(nil, ciphertext[head:head+nonceSize], ciphertext[head+nonceSize:], nil)
}

// dataKey makes 32 bytes and seals them.
func (k *keys) dataKey() (plaintext, ciphertext []byte) {
	plaintext = make([]byte, 32)
	rand.Read(plaintext) // it never fails
	return plaintext, k.seal(plaintext)
}

// sign signs a digest of SHA-256.
func (k *keys) sign(algorithm string, digest []byte) ([]byte, error) {
	switch algorithm {
	case "ECDSA_SHA_256":
		return ecdsa.SignASN1(rand.Reader, k.ec, digest)
	case "SHA_256_RSA_PKCS1_V1_5":
		return rsa.SignPKCS1v15(nil, k.rsa, crypto.SHA256, digest)
	case "RSA_PSS_SHA_256":
		return rsa.SignPSS(rand.Reader, k.rsa, crypto.SHA256, digest, nil)
	}
	return nil, errors.New("unknown algorithm " + algorithm)
}

// public is the public key of a kind, in PEM.
func (k *keys) public(kind string) string {
	var key any
	switch kind {
	case "ec":
		key = k.ec.Public()
	case "rsa":
		key = k.rsa.Public()
	default:
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
