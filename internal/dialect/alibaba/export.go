// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"encoding/base64"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// maxPublicKey bounds a PublicKeyBlob, in bytes: that of an RSA_2048 key has 294.
const maxPublicKey = 1024

// wrapping reads the public key that a data key leaves under.
func (r *reader) wrapping() (w kms.WrappingKey) {
	w.SPKI = r.bytes("PublicKeyBlob", maxPublicKey)
	switch spec := r.text("WrappingKeySpec"); spec {
	case "RSA_2048":
		w.Spec = keys.RSA2048
	case "EC_SM2":
		w.Spec = keys.SM2
	default:
		r.invalid("WrappingKeySpec", "WrappingKeySpec takes RSA_2048 or EC_SM2")
	}
	name, ok := r.text("WrappingAlgorithm"), false
	if w.Algorithm, ok = encryptionAlgorithm(name); !ok {
		r.invalid("WrappingAlgorithm", "WrappingAlgorithm takes RSAES_OAEP_SHA_256, RSAES_OAEP_SHA_1 or SM2PKE")
	}
	return w
}

type exportRequest struct {
	dryRunnable
	ciphertext []byte
	context    map[string]string
	under      kms.WrappingKey
}

func (q *exportRequest) read(r *reader) {
	q.dry = r.dry()
	q.ciphertext = r.bytes("CiphertextBlob", maxCiphertext)
	q.under = r.wrapping()
	q.context = r.context("EncryptionContext")
}

// exported is the answer of ExportDataKey and, with a ciphertext, GenerateAndExportDataKey.
type exported struct {
	encrypted
	wrapped []byte
}

func (a *exported) size() int {
	return base64.StdEncoding.EncodedLen(len(a.ciphertext)) + base64.StdEncoding.EncodedLen(len(a.wrapped))
}

func (a *exported) write(d *document) {
	d.id("KeyId", a.key.ID)
	d.id("KeyVersionId", a.version.ID)
	if a.ciphertext != nil {
		d.base64("CiphertextBlob", a.ciphertext)
	}
	d.base64("ExportedDataKey", a.wrapped)
}

func (d *Dialect) exportDataKey(ctx context.Context, c *kms.Call, q *exportRequest) (*exported, error) {
	out, err := d.service.ExportDataKey(ctx, c, kms.ExportRequest{
		Source: kms.DecryptRequest{Ciphertext: q.ciphertext, Context: q.context, Accept: Visible, HideDeleted: true},
		Under:  q.under,
	})
	if err != nil {
		return nil, err
	}
	return &exported{encrypted{key: out.Key, version: out.Version}, out.Wrapped}, nil
}

type generateAndExportRequest struct {
	dataKeyRequest
	under kms.WrappingKey
}

func (q *generateAndExportRequest) read(r *reader) {
	q.dataKeyRequest.read(r)
	q.under = r.wrapping()
}

func (d *Dialect) generateAndExportDataKey(ctx context.Context, c *kms.Call, q *generateAndExportRequest) (*exported, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return nil, err
	}
	req := kms.DataKeyRequest{Key: ref, Bytes: q.bytes, Context: q.context}
	out, err := d.service.GenerateAndExportDataKey(ctx, c, req, q.under)
	if err != nil {
		return nil, err
	}
	return &exported{encrypted{out.Key, out.Version, out.Ciphertext}, out.Wrapped}, nil
}
