// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"encoding/base64"
	"fmt"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

const (
	// maxPlaintext is the most bytes that Encrypt takes, after base64 decoding where the
	// plaintext is base64.
	maxPlaintext = 6144
	// maxCiphertext bounds what Decrypt looks at: far above the longest plaintext of any
	// dialect and what an envelope adds.
	maxCiphertext = 16 << 10
	maxDataKey    = 1024
)

// dryRunnable is embedded by the requests that take DryRun.
type dryRunnable struct{ dry bool }

func (d *dryRunnable) isDry() bool { return d.dry }

// cryptoOp builds a row of an operation that takes DryRun: the whole request is carried out,
// its result dropped, and the answer is always a refusal that tells how it would have ended.
func cryptoOp[Req any, Resp content, P interface {
	*Req
	isDry() bool
}](name, class string, action keys.Action, fn func(context.Context, *kms.Call, *Req) (Resp, error),
) dialect.Operation {
	return op(name, class, action, func(ctx context.Context, c *kms.Call, req *Req) (Resp, error) {
		dry := P(req).isDry()
		if dry {
			c.Context = map[string]string{"DryRun": "true"}
		}
		resp, err := fn(ctx, c, req)
		if err == nil && dry {
			if w, ok := any(resp).(interface{ wipe() }); ok {
				w.wipe()
			}
			err = refuse(keys.KindInvalid, codeDryRun, "DryRun", "the request is in order")
		}
		return resp, err
	})
}

type encryptRequest struct {
	dryRunnable
	key       string
	plaintext []byte
	text      bool
	context   map[string]string
}

func (q *encryptRequest) read(r *reader) {
	q.dry = r.dry()
	q.key = r.keyName("KeyId")
	q.plaintext, q.text = r.plaintext("Plaintext")
	q.context = r.context("EncryptionContext")
}

// plaintext reads what Encrypt takes: canonical base64 stands for its bytes, any other text
// for itself.
func (r *reader) plaintext(name string) (plaintext []byte, text bool) {
	v := r.text(name)
	b, ok := decodeBase64(v)
	if !ok {
		b, text = []byte(v), true
	}
	if len(b) > maxPlaintext {
		r.fail(&keys.Error{Kind: keys.KindTooLarge, Field: name, Hint: fmt.Sprintf("%s may have at most %d bytes", name, maxPlaintext)})
	}
	return b, text
}

// encrypted is the answer of operations that make a ciphertext.
type encrypted struct {
	key        *keys.Key
	version    *keys.Version
	ciphertext []byte
}

func (a *encrypted) size() int { return base64.StdEncoding.EncodedLen(len(a.ciphertext)) }

func (a *encrypted) about() *keys.Key { return a.key }

func (a *encrypted) write(d *document) {
	d.id("KeyId", a.key.ID)
	d.id("KeyVersionId", a.version.ID)
	d.base64("CiphertextBlob", a.ciphertext)
}

func (d *Dialect) encrypt(ctx context.Context, c *kms.Call, q *encryptRequest) (*encrypted, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return nil, err
	}
	out, err := d.service.Encrypt(ctx, c, kms.EncryptRequest{Key: ref, Plaintext: q.plaintext, Text: q.text, Context: q.context})
	clear(q.plaintext)
	if err != nil {
		return nil, err
	}
	return &encrypted{out.Key, out.Version, out.Ciphertext}, nil
}

type decryptRequest struct {
	dryRunnable
	ciphertext []byte
	context    map[string]string
	xml        bool
}

func (q *decryptRequest) read(r *reader) {
	q.dry, q.xml = r.dry(), r.xml
	q.ciphertext = r.bytes("CiphertextBlob", maxCiphertext)
	q.context = r.context("EncryptionContext")
	r.refused("Recipient", noRecipient("Recipient"))
}

// noRecipient refuses to answer a plaintext in the clear to who asked for it encrypted.
func noRecipient(name string) *keys.Error {
	return &keys.Error{Kind: keys.KindNotImplemented, Field: name, Hint: "encrypting the answer to an attested recipient is not supported"}
}

// decrypted is the answer of Decrypt.
type decrypted struct{ *kms.DecryptResult }

func (a decrypted) size() int { return base64.StdEncoding.EncodedLen(len(a.Plaintext)) }

func (a decrypted) about() *keys.Key { return a.Key }

func (a decrypted) write(d *document) {
	d.id("KeyId", a.Key.ID)
	d.id("KeyVersionId", a.Version.ID)
	if a.Text {
		d.text("Plaintext", string(a.Plaintext))
	} else {
		d.base64("Plaintext", a.Plaintext)
	}
	a.wipe()
}

func (a decrypted) wipe() { clear(a.Plaintext) }

func (d *Dialect) decrypt(ctx context.Context, c *kms.Call, q *decryptRequest) (decrypted, error) {
	out, err := d.service.Decrypt(ctx, c, kms.DecryptRequest{
		Ciphertext: q.ciphertext, Context: q.context, Accept: Visible, HideDeleted: true,
	})
	if err != nil {
		return decrypted{}, err
	}
	if q.xml && out.Text && !fitsXML(out.Plaintext) {
		decrypted{out}.wipe()
		return decrypted{}, keys.Invalid("Format", "the plaintext has characters that XML cannot hold: ask for JSON")
	}
	return decrypted{out}, nil
}

type dataKeyRequest struct {
	dryRunnable
	key     string
	bytes   int
	context map[string]string
}

func (q *dataKeyRequest) read(r *reader) {
	q.dry = r.dry()
	q.key = r.keyName("KeyId")
	q.bytes = 32
	switch spec, _ := r.optional("KeySpec"); spec {
	case "", "AES_256":
	case "AES_128":
		q.bytes = 16
	default:
		r.invalid("KeySpec", "KeySpec takes AES_256 or AES_128")
	}
	q.bytes = r.integer("NumberOfBytes", q.bytes, 1, maxDataKey) // wins over KeySpec
	q.context = r.context("EncryptionContext")
	r.refused("Recipient", noRecipient("Recipient"))
}

// dataKey is the answer of GenerateDataKey.
type dataKey struct {
	encrypted
	plaintext []byte
}

func (a *dataKey) write(d *document) {
	d.id("KeyId", a.key.ID)
	d.id("KeyVersionId", a.version.ID)
	d.base64("Plaintext", a.plaintext)
	d.base64("CiphertextBlob", a.ciphertext)
	a.wipe()
}

func (a *dataKey) wipe() { clear(a.plaintext) }

func (d *Dialect) generateDataKey(ctx context.Context, c *kms.Call, q *dataKeyRequest) (*dataKey, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return nil, err
	}
	out, err := d.service.GenerateDataKey(ctx, c, kms.DataKeyRequest{Key: ref, Bytes: q.bytes, Context: q.context})
	if err != nil {
		return nil, err
	}
	return &dataKey{encrypted{out.Key, out.Version, out.Ciphertext}, out.Plaintext}, nil
}

func (d *Dialect) generateDataKeyWithoutPlaintext(ctx context.Context, c *kms.Call, q *dataKeyRequest) (*encrypted, error) {
	out, err := d.generateDataKey(ctx, c, q)
	if err != nil {
		return nil, err
	}
	out.wipe()
	return &out.encrypted, nil
}
