// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/base64"
	"hash/crc32"
	"strconv"
	"unicode/utf8"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// Limits of the crypto endpoint.
const (
	maxPlaintext = 4096 // bytes
	maxContext   = 4096 // the text of an associatedData must be shorter, in characters
)

// material is what every crypto request names: the key, the version of it, and free text for
// the audit log.
type material struct {
	keyID, versionID string
	loggingContext   map[string]string

	key     kms.KeyRef
	version kms.VersionRef
}

func (q *material) field(r *reader, name []byte) bool {
	switch string(name) {
	case "keyId":
		q.keyID = r.text()
	case "keyVersionId":
		q.versionID = r.text()
	case "loggingContext":
		q.loggingContext = r.mapping()
	default:
		return false
	}
	return true
}

// resolve turns names into references. It comes last, after what can be said of the request alone.
func (q *material) resolve(in *input) (err error) {
	if q.keyID == "" {
		return keys.Missing("keyId")
	}
	if err := checkContext("loggingContext", q.loggingContext); err != nil {
		return err
	}
	in.x.Call.Context = q.loggingContext
	if q.key, err = in.d.keyRef(q.keyID); err != nil {
		return err
	}
	q.version, err = in.d.versionRef(q.versionID)
	return err
}

// keyName is the OCID of the key that a request was carried out with. Where the request named it by
// that, it has been compared with the record already.
func (d *Dialect) keyName(q *material, k *keys.Key) string {
	if !q.key.ID.IsZero() {
		return q.keyID
	}
	return d.namer.KeyName(k)
}

// checkContext limits the length of a map's text, as compact JSON without escapes.
func checkContext(field string, pairs map[string]string) error {
	n := 2
	for k, v := range pairs {
		n += utf8.RuneCountInString(k) + utf8.RuneCountInString(v) + len(`"":"",`)
	}
	if len(pairs) > 0 && n-1 >= maxContext {
		return keys.Invalid(field, field+" must have fewer than 4096 characters as text")
	}
	return nil
}

// encryptRequest is EncryptDataDetails.
type encryptRequest struct {
	material
	plaintext      []byte
	given          bool
	associatedData map[string]string
	algorithm      keys.Algorithm
}

func (q *encryptRequest) field(r *reader, name []byte) bool {
	switch string(name) {
	case "plaintext":
		q.plaintext, q.given = r.base64()
	case "associatedData":
		q.associatedData = r.mapping()
	case "encryptionAlgorithm":
		q.algorithm, _ = choice(r, encryptionAlgorithms)
	default:
		return q.material.field(r, name)
	}
	return true
}

func (q *encryptRequest) decode(in *input) error {
	if err := in.body(q); err != nil {
		return err
	}
	if !q.given {
		return keys.Missing("plaintext")
	}
	if len(q.plaintext) > maxPlaintext {
		return &keys.Error{Kind: keys.KindTooLarge, Field: "plaintext", Hint: "plaintext has more than 4096 bytes: encrypt a data key and use that"}
	}
	if err := checkContext("associatedData", q.associatedData); err != nil {
		return err
	}
	return q.resolve(in)
}

// encryptedData is EncryptedData.
type encryptedData struct {
	ciphertext              []byte
	key, version, algorithm string
}

func (a encryptedData) payload() int { return len(a.ciphertext) }

func (a encryptedData) appendJSON(b []byte) []byte {
	b = append(b, `{"ciphertext":"`...)
	b = append(base64.StdEncoding.AppendEncode(b, a.ciphertext), '"')
	b = appendMember(b, "keyId", a.key)
	b = appendMember(b, "keyVersionId", a.version)
	b = appendMember(b, "encryptionAlgorithm", a.algorithm)
	return append(b, '}')
}

func (d *Dialect) encrypt(ctx context.Context, c *kms.Call, q *encryptRequest) (data, error) {
	res, err := d.kms.Encrypt(ctx, c, kms.EncryptRequest{
		Key: q.key, Version: q.version, Algorithm: q.algorithm, Plaintext: q.plaintext, Context: q.associatedData,
	})
	if err != nil {
		return data{}, err
	}
	return data{encryptedData{
		ciphertext: res.Ciphertext, key: d.keyName(&q.material, res.Key),
		version: d.namer.VersionName(res.Version), algorithm: nameOf(encryptionAlgorithms, res.Algorithm),
	}}, nil
}

// decryptRequest is DecryptDataDetails.
type decryptRequest struct {
	material
	ciphertext     []byte
	given          bool
	associatedData map[string]string
	algorithm      keys.Algorithm
}

func (q *decryptRequest) field(r *reader, name []byte) bool {
	switch string(name) {
	case "ciphertext":
		q.ciphertext, q.given = r.base64()
	case "associatedData":
		q.associatedData = r.mapping()
	case "encryptionAlgorithm":
		q.algorithm, _ = choice(r, encryptionAlgorithms)
	default:
		return q.material.field(r, name)
	}
	return true
}

// decode does not limit the associated data: what another API's limits allowed must open here.
func (q *decryptRequest) decode(in *input) error {
	if err := in.body(q); err != nil {
		return err
	}
	if !q.given {
		return keys.Missing("ciphertext")
	}
	return q.resolve(in)
}

// decryptedData is DecryptedData.
type decryptedData struct {
	plaintext               []byte
	key, version, algorithm string
}

func (a decryptedData) payload() int { return len(a.plaintext) }

func (a decryptedData) appendJSON(b []byte) []byte {
	b = appendPlain(append(b, '{'), a.plaintext)
	b = appendMember(b, "keyId", a.key)
	b = appendMember(b, "keyVersionId", a.version)
	b = appendMember(b, "encryptionAlgorithm", a.algorithm)
	return append(b, '}')
}

// appendPlain appends a plaintext in base64 with its checksum: CRC-32 (IEEE 802.3) as decimal text.
func appendPlain(b, plaintext []byte) []byte {
	b = append(b, `"plaintext":"`...)
	b = base64.StdEncoding.AppendEncode(b, plaintext)
	b = append(b, `","plaintextChecksum":"`...)
	b = strconv.AppendUint(b, uint64(crc32.ChecksumIEEE(plaintext)), 10)
	return append(b, '"')
}

func (d *Dialect) decrypt(ctx context.Context, c *kms.Call, q *decryptRequest) (data, error) {
	res, err := d.kms.Decrypt(ctx, c, kms.DecryptRequest{
		Key: &q.key, Version: q.version, Algorithm: q.algorithm, Ciphertext: q.ciphertext, Context: q.associatedData,
	})
	if err != nil {
		return data{}, err
	}
	return data{decryptedData{
		plaintext: res.Plaintext, key: d.keyName(&q.material, res.Key), version: d.namer.VersionName(res.Version),
		algorithm: nameOf(encryptionAlgorithms, res.Algorithm),
	}}, nil
}

// dataKeyRequest is GenerateKeyDetails.
type dataKeyRequest struct {
	material
	include        *bool
	shape          keyShapeDetails
	associatedData map[string]string
	bytes          int
}

func (q *dataKeyRequest) field(r *reader, name []byte) bool {
	switch string(name) {
	case "includePlaintextKey":
		q.include = r.optionalFlag()
	case "keyShape":
		if q.shape.given = !r.null(); q.shape.given {
			r.object(&q.shape)
		}
	case "associatedData":
		q.associatedData = r.mapping()
	case "keyVersionId":
		return false // the operation has none: the data key goes under the current version
	default:
		return q.material.field(r, name)
	}
	return true
}

func (q *dataKeyRequest) decode(in *input) error {
	if err := in.body(q); err != nil {
		return err
	}
	if q.include == nil {
		return keys.Missing("includePlaintextKey")
	}
	spec, err := q.shape.spec()
	if err != nil {
		return err
	}
	if spec.Family() != keys.FamilyAES {
		return keys.Invalid("keyShape.algorithm", "a data key is an AES key")
	}
	q.bytes = spec.Bits() / 8
	if err := checkContext("associatedData", q.associatedData); err != nil {
		return err
	}
	return q.resolve(in)
}

// generatedKey is GeneratedKey. A plaintext of nil is not shown.
type generatedKey struct{ ciphertext, plaintext []byte }

func (a generatedKey) payload() int { return len(a.ciphertext) + len(a.plaintext) }

func (a generatedKey) appendJSON(b []byte) []byte {
	b = append(b, `{"ciphertext":"`...)
	b = append(base64.StdEncoding.AppendEncode(b, a.ciphertext), `",`...)
	if a.plaintext == nil {
		return append(b, `"plaintext":null,"plaintextChecksum":null}`...)
	}
	return append(appendPlain(b, a.plaintext), '}')
}

func (d *Dialect) generateDataEncryptionKey(ctx context.Context, c *kms.Call, q *dataKeyRequest) (data, error) {
	res, err := d.kms.GenerateDataKey(ctx, c, kms.DataKeyRequest{Key: q.key, Bytes: q.bytes, Context: q.associatedData})
	if err != nil {
		return data{}, err
	}
	out := generatedKey{ciphertext: res.Ciphertext}
	if *q.include {
		out.plaintext = res.Plaintext
	}
	return data{out}, nil
}
