// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// keys are one of each kind, made at the start.
type keys struct {
	material     []byte
	key, version [16]byte    // ids, which a ciphertext is bound to
	plain        cipher.AEAD // under the material itself; nil: each message has a key of its own
	ec           *ecdsa.PrivateKey
	rsa          *rsa.PrivateKey
}

// A ciphertext is an envelope as docs/formats.md describes it: head, key commitment, body, tag.
const (
	keySize    = 32
	nonceSize  = 12
	saltSize   = 16
	commitSize = 16
	saltAt     = 36 + 2 // after the version, the suite and the flags
	commitAt   = saltAt + saltSize
	bodyAt     = commitAt + commitSize
	overhead   = bodyAt + 16
	okmSize    = keySize + nonceSize + commitSize
)

func newKeys(plain bool) (*keys, error) {
	k := &keys{material: make([]byte, keySize)}
	for _, b := range [][]byte{k.material, k.key[:], k.version[:]} {
		rand.Read(b) // it never fails
	}
	var err error
	if plain {
		if k.plain, err = newGCM(k.material); err != nil {
			return nil, err
		}
	}
	if k.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	return k, err
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// derive makes what a message with a salt is sealed with.
func (k *keys) derive(salt []byte) (aead cipher.AEAD, nonce, commitment []byte, err error) {
	info := append([]byte("claviger/env/1\x01"), k.key[:]...)
	info = append(append(info, k.version[:]...), 0, okmSize)
	okm, err := hkdf.Key(sha256.New, k.material, salt, string(info), okmSize)
	if err != nil {
		return nil, nil, nil, err
	}
	aead, err = newGCM(okm[:keySize])
	return aead, okm[keySize : keySize+nonceSize], okm[keySize+nonceSize:], err
}

// seal encrypts. Without keys of messages' own the answer is as long, and the nonce lies in the head.
func (k *keys) seal(plaintext []byte) ([]byte, error) {
	v := k.version
	out := make([]byte, 0, overhead+len(plaintext))
	out = fmt.Appendf(out, "%x-%x-%x-%x-%x\x01\x00", v[:4], v[4:6], v[6:8], v[8:10], v[10:])
	out = out[:bodyAt]
	salt := out[saltAt:commitAt]
	rand.Read(salt) // it never fails
	if k.plain != nil {
		return k.plain.Seal(out, salt[:nonceSize], plaintext, out), nil
	}
	aead, nonce, commitment, err := k.derive(salt)
	if err != nil {
		return nil, err
	}
	copy(out[commitAt:], commitment)
	return aead.Seal(out, nonce, plaintext, out), nil
}

func (k *keys) open(ciphertext []byte) ([]byte, error) {
	if len(ciphertext) < overhead {
		return nil, errors.New("the ciphertext is too short")
	}
	salt, head, body := ciphertext[saltAt:commitAt], ciphertext[:bodyAt], ciphertext[bodyAt:]
	if k.plain != nil {
		return k.plain.Open(nil, salt[:nonceSize], body, head)
	}
	aead, nonce, commitment, err := k.derive(salt)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(commitment, head[commitAt:]) != 1 {
		return nil, errors.New("the ciphertext is of another key")
	}
	return aead.Open(nil, nonce, body, head)
}

// dataKey makes 32 bytes and seals them.
func (k *keys) dataKey() (plaintext, ciphertext []byte, err error) {
	plaintext = make([]byte, 32)
	rand.Read(plaintext) // it never fails
	ciphertext, err = k.seal(plaintext)
	return plaintext, ciphertext, err
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
