// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"encoding/pem"
	"fmt"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

const (
	// digestSize is the length of every digest that is signed.
	digestSize = 32
	// maxSM2Plaintext is the most bytes that SM2PKE takes.
	maxSM2Plaintext = 6047
)

// asymmetricRequest is what all operations on asymmetric keys take.
type asymmetricRequest struct {
	dryRunnable
	key       string
	version   kms.VersionRef
	algorithm keys.Algorithm
}

func (q *asymmetricRequest) head(r *reader, byName func(string) (keys.Algorithm, bool)) {
	q.dry = r.dry()
	q.key = r.keyName("KeyId")
	q.version = r.versionID("KeyVersionId")
	if byName == nil {
		return
	}
	name, ok := r.text("Algorithm"), false
	if q.algorithm, ok = byName(name); !ok {
		r.invalid("Algorithm", "unknown Algorithm "+clip(name))
	}
}

type asymmetricEncryptRequest struct {
	asymmetricRequest
	plaintext []byte
}

func (q *asymmetricEncryptRequest) read(r *reader) {
	q.head(r, encryptionAlgorithm)
	most := maxPlaintext
	if q.algorithm == keys.SM2PKE {
		most = maxSM2Plaintext
	}
	q.plaintext = r.bytes("Plaintext", most)
}

func (d *Dialect) asymmetricEncrypt(ctx context.Context, c *kms.Call, q *asymmetricEncryptRequest) (*encrypted, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return nil, err
	}
	out, err := d.service.Encrypt(ctx, c, kms.EncryptRequest{Key: ref, Version: q.version, Algorithm: q.algorithm, Plaintext: q.plaintext})
	clear(q.plaintext)
	if err != nil {
		return nil, err
	}
	return &encrypted{out.Key, out.Version, out.Ciphertext}, nil
}

type asymmetricDecryptRequest struct {
	asymmetricRequest
	ciphertext []byte
}

func (q *asymmetricDecryptRequest) read(r *reader) {
	q.head(r, encryptionAlgorithm)
	q.ciphertext = r.bytes("CiphertextBlob", maxCiphertext)
}

func (d *Dialect) asymmetricDecrypt(ctx context.Context, c *kms.Call, q *asymmetricDecryptRequest) (decrypted, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return decrypted{}, err
	}
	out, err := d.service.Decrypt(ctx, c, kms.DecryptRequest{Key: &ref, Version: q.version, Algorithm: q.algorithm, Ciphertext: q.ciphertext})
	if err != nil {
		return decrypted{}, err
	}
	return decrypted{out}, nil
}

type signRequest struct {
	asymmetricRequest
	digest []byte
}

func (q *signRequest) read(r *reader) {
	q.head(r, signingAlgorithm)
	q.digest = r.bytes("Digest", maxCiphertext)
	if r.err == nil && len(q.digest) != digestSize {
		r.invalid("Digest", fmt.Sprintf("Digest is the base64 of %d bytes; these are %d", digestSize, len(q.digest)))
	}
}

// signed is the answer of AsymmetricSign.
type signed struct{ *kms.SignResult }

func (a signed) about() *keys.Key { return a.Key }

func (a signed) write(d *document) {
	d.id("KeyId", a.Key.ID)
	d.id("KeyVersionId", a.Version.ID)
	d.base64("Value", a.Signature)
}

func (d *Dialect) asymmetricSign(ctx context.Context, c *kms.Call, q *signRequest) (signed, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return signed{}, err
	}
	out, err := d.service.Sign(ctx, c, kms.SignRequest{Key: ref, Version: q.version, Algorithm: q.algorithm, Digest: q.digest})
	return signed{out}, err
}

type verifyRequest struct {
	signRequest
	signature []byte
}

func (q *verifyRequest) read(r *reader) {
	q.signRequest.read(r)
	q.signature = r.bytes("Value", maxCiphertext)
}

// verified is the answer of AsymmetricVerify.
type verified struct{ *kms.VerifyResult }

func (a verified) about() *keys.Key { return a.Key }

func (a verified) write(d *document) {
	d.id("KeyId", a.Key.ID)
	d.id("KeyVersionId", a.Version.ID)
	d.boolean("Value", a.Valid)
}

func (d *Dialect) asymmetricVerify(ctx context.Context, c *kms.Call, q *verifyRequest) (verified, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return verified{}, err
	}
	out, err := d.service.Verify(ctx, c, kms.VerifyRequest{
		SignRequest: kms.SignRequest{Key: ref, Version: q.version, Algorithm: q.algorithm, Digest: q.digest},
		Signature:   q.signature,
	})
	return verified{out}, err
}

type publicKeyRequest struct{ asymmetricRequest }

func (q *publicKeyRequest) read(r *reader) { q.head(r, nil) }

// publicKey is the answer of GetPublicKey.
type publicKey struct {
	key     *keys.Key
	version *keys.Version
}

func (a *publicKey) about() *keys.Key { return a.key }

func (a *publicKey) write(d *document) {
	d.id("KeyId", a.key.ID)
	d.id("KeyVersionId", a.version.ID)
	d.text("PublicKey", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: a.version.PublicKey})))
}

func (d *Dialect) getPublicKey(ctx context.Context, c *kms.Call, q *publicKeyRequest) (*publicKey, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return nil, err
	}
	key, version, err := d.service.PublicKey(ctx, c, ref, q.version)
	if err != nil {
		return nil, err
	}
	return &publicKey{key, version}, nil
}
