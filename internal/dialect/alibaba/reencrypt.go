// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"encoding/base64"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// reEncryptRequest names its source by the ciphertext itself, or, where that is a public key's, by
// key, version and algorithm.
type reEncryptRequest struct {
	dryRunnable
	from       kms.DecryptRequest
	fromKey    string // "": found from the ciphertext
	to         string
	newContext map[string]string
}

func (q *reEncryptRequest) read(r *reader) {
	q.dry = r.dry()
	q.from.Ciphertext = r.bytes("CiphertextBlob", maxCiphertext)
	q.to = r.keyName("DestinationKeyId")
	q.from.Context = r.context("SourceEncryptionContext")
	q.newContext = r.context("DestinationEncryptionContext")
	algorithm, _ := r.optional("SourceEncryptionAlgorithm")
	version, _ := r.optional("SourceKeyVersionId")
	if key, _ := r.optional("SourceKeyId"); key == "" && version == "" && algorithm == "" {
		return
	}
	// A symmetric source may be named too; then it must be the ciphertext's.
	q.fromKey = r.keyName("SourceKeyId")
	if version != "" || algorithm != "" {
		q.from.Version = r.versionID("SourceKeyVersionId")
	}
	if algorithm == "" {
		return
	}
	ok := false
	if q.from.Algorithm, ok = encryptionAlgorithm(algorithm); !ok {
		r.invalid("SourceEncryptionAlgorithm", "unknown SourceEncryptionAlgorithm "+clip(algorithm))
	}
}

// reEncrypted is the answer of ReEncrypt. Its ids are the source's, as the page describes them;
// those of the destination begin the ciphertext.
type reEncrypted struct{ *kms.ReEncryptResult }

func (a reEncrypted) size() int { return base64.StdEncoding.EncodedLen(len(a.Ciphertext)) }

// about is the key that made the ciphertext, unless only the other one is of an HSM.
func (a reEncrypted) about() *keys.Key {
	if a.FromKey.Protection == keys.HSM {
		return a.FromKey
	}
	return a.Key
}

func (a reEncrypted) write(d *document) {
	d.base64("CiphertextBlob", a.Ciphertext)
	d.id("KeyId", a.FromKey.ID)
	d.id("KeyVersionId", a.FromVersion.ID)
}

func (d *Dialect) reEncrypt(ctx context.Context, c *kms.Call, q *reEncryptRequest) (reEncrypted, error) {
	to, err := d.resolve(ctx, c, q.to)
	if err != nil {
		return reEncrypted{}, err
	}
	q.from.Accept, q.from.HideDeleted = Visible, true
	if q.fromKey != "" {
		ref, err := d.resolve(ctx, c, q.fromKey)
		if err != nil {
			return reEncrypted{}, err
		}
		q.from.Key = &ref
	}
	out, err := d.service.ReEncrypt(ctx, c, kms.ReEncryptRequest{Source: q.from, Key: to, Context: q.newContext})
	return reEncrypted{out}, err
}
