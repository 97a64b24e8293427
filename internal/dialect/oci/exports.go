// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"strings"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// exportRequest is ExportKeyDetails.
type exportRequest struct {
	material
	algorithm keys.Wrapping
	publicKey string
	spki      []byte
}

func (q *exportRequest) field(r *reader, name []byte) bool {
	switch string(name) {
	case "algorithm":
		q.algorithm, _ = choice(r, wrappings)
	case "publicKey":
		q.publicKey = r.text()
	default:
		return q.material.field(r, name)
	}
	return true
}

func (q *exportRequest) decode(in *input) error {
	if err := in.body(q); err != nil {
		return err
	}
	if q.algorithm == "" {
		return keys.Missing("algorithm")
	}
	if err := required([2]string{"publicKey", q.publicKey}); err != nil {
		return err
	}
	var ok bool
	if q.spki, ok = publicKeyDER(q.publicKey); !ok {
		return keys.Invalid("publicKey", "publicKey must be one RSA public key of 2048, 3072 or 4096 bits in PEM, such as openssl pkey -pubout writes")
	}
	return q.resolve(in)
}

// maxPEM bounds a public key in PEM, in characters. One of RSA-4096 has 800.
const maxPEM = 4096

// publicKeyDER reads a public key in PEM (RFC 7468 §13, or PKCS #1) into a SubjectPublicKeyInfo.
// Users of the CLI put it on one line, some with \n where the lines ended: white space does not
// matter between the two marks, and neither do these.
func publicKeyDER(text string) ([]byte, bool) {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	if len(text) > maxPEM {
		return nil, false
	}
	text = strings.TrimSpace(strings.NewReplacer(`\r`, " ", `\n`, " ").Replace(text))
	rest, ok := strings.CutPrefix(text, begin)
	label, rest, found := strings.Cut(rest, dashes)
	if !ok || !found {
		return nil, false
	}
	body, ok := strings.CutSuffix(rest, end+label+dashes)
	if !ok {
		return nil, false
	}
	der, err := base64.StdEncoding.Strict().DecodeString(strings.Join(strings.Fields(body), ""))
	if err != nil {
		return nil, false
	}
	switch label {
	case "PUBLIC KEY":
		return der, true
	case "RSA PUBLIC KEY":
		key, err := x509.ParsePKCS1PublicKey(der)
		if err != nil {
			return nil, false
		}
		spki, err := x509.MarshalPKIXPublicKey(key)
		return spki, err == nil
	default:
		return nil, false
	}
}

// exportedKeyData is ExportedKeyData.
type exportedKeyData struct {
	wrapped                                []byte
	key, version, vault, created, wrapping string
}

func (a exportedKeyData) payload() int { return len(a.wrapped) }

func (a exportedKeyData) appendJSON(b []byte) []byte {
	b = append(b, `{"encryptedKey":"`...)
	b = append(base64.StdEncoding.AppendEncode(b, a.wrapped), '"')
	b = appendMember(b, "keyId", a.key)
	b = appendMember(b, "keyVersionId", a.version)
	b = appendMember(b, "vaultId", a.vault)
	b = appendMember(b, "timeCreated", a.created)
	b = appendMember(b, "algorithm", a.wrapping)
	return append(b, '}')
}

func (d *Dialect) exportKey(ctx context.Context, c *kms.Call, q *exportRequest) (data, error) {
	res, err := d.kms.ExportKey(ctx, c, kms.ExportKeyRequest{Key: q.key, Version: q.version, Wrapping: q.algorithm, PublicKey: q.spki})
	if err != nil {
		return data{}, err
	}
	return data{exportedKeyData{
		wrapped: res.Wrapped, key: d.namer.KeyName(res.Key), version: d.namer.VersionName(res.Version),
		vault: d.namer.vaultName(res.Key.Region, res.Key.Vault), created: timeText(res.Version.CreatedAt), wrapping: nameOf(wrappings, q.algorithm),
	}}, nil
}
