// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/pem"
	"strings"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// wrappings are the ways in which material is wrapped, for import and for export.
var wrappings = []named[keys.Wrapping]{
	{"RSA_OAEP_SHA256", keys.WrapOAEPSHA256},
	{"RSA_OAEP_AES_SHA256", keys.WrapOAEPAES},
}

// wrappingKeyModel is WrappingKey.
type wrappingKeyModel struct {
	ID             string `json:"id"`
	CompartmentID  string `json:"compartmentId"`
	VaultID        string `json:"vaultId"`
	LifecycleState string `json:"lifecycleState"`
	PublicKey      string `json:"publicKey"`
	TimeCreated    string `json:"timeCreated"`
}

// wrappingPEM is a public key with the line ends of Oracle's service: LF after the first line and
// the last, CR LF after those between.
func wrappingPEM(spki []byte) string {
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	head, rest, _ := strings.Cut(text, "\n")
	body, last, _ := strings.Cut(rest, "-----END")
	return head + "\n" + strings.ReplaceAll(body, "\n", "\r\n") + "-----END" + last
}

// wrappingKeyRequest names nothing: the vault is that of the endpoint.
type wrappingKeyRequest struct{}

func (q *wrappingKeyRequest) decode(in *input) error {
	in.noBody()
	return nil
}

func (d *Dialect) getWrappingKey(ctx context.Context, c *kms.Call, _ *wrappingKeyRequest) (one, error) {
	v, err := d.kms.WrappingKey(ctx, c)
	if err != nil {
		return one{}, err
	}
	k := &v.OfKey
	compartment, err := d.compartments(ctx).name(k.Tenant, k.Compartment)
	if err != nil {
		return one{}, err
	}
	return one{
		etag: k.ETag, software: d.cfg.SoftwareHSM && k.Protection == keys.HSM,
		body: wrappingKeyModel{
			ID: d.namer.KeyName(&k.Key), CompartmentID: compartment, VaultID: d.namer.VaultName(&k.InVault),
			LifecycleState: stateName(k.State), PublicKey: wrappingPEM(v.PublicKey), TimeCreated: timeText(k.CreatedAt),
		},
	}, nil
}

// wrappedDetails is WrappedImportKey, where it is a request's wrappedImportKey.
type wrappedDetails struct {
	given         bool
	material      []byte
	materialGiven bool
	algorithm     keys.Wrapping
}

func (q *wrappedDetails) field(r *reader, name []byte) bool {
	switch string(name) {
	case "keyMaterial":
		q.material, q.materialGiven = r.base64()
	case "wrappingAlgorithm":
		q.algorithm, _ = choice(r, wrappings)
	default:
		return false
	}
	return true
}

// read reads the details themselves, as the value of a field.
func (q *wrappedDetails) read(r *reader) {
	if q.given = !r.null(); q.given {
		r.object(q)
	}
}

func (q *wrappedDetails) check() error {
	switch {
	case !q.given:
		return keys.Missing("wrappedImportKey")
	case !q.materialGiven:
		return keys.Missing("wrappedImportKey.keyMaterial")
	case q.algorithm == "":
		return keys.Missing("wrappedImportKey.wrappingAlgorithm")
	}
	return nil
}

func (q *wrappedDetails) wrapped() kms.Wrapped {
	return kms.Wrapped{Algorithm: q.algorithm, Bytes: q.material}
}

// importKeyDetails is ImportKeyDetails: CreateKeyDetails with the material, and no reference to a
// third party's key.
type importKeyDetails struct {
	createKeyDetails
	material wrappedDetails
}

func (q *importKeyDetails) field(r *reader, name []byte) bool {
	switch string(name) {
	case "wrappedImportKey":
		q.material.read(r)
		return true
	case "externalKeyReference":
		return false
	default:
		return q.createKeyDetails.field(r, name)
	}
}

func (q *importKeyDetails) decode(in *input) error {
	if err := in.body(q); err != nil {
		return err
	}
	if err := q.check(in); err != nil {
		return err
	}
	return q.material.check()
}

func (d *Dialect) importKey(ctx context.Context, c *kms.Call, q *importKeyDetails) (one, error) {
	k, err := d.kms.ImportKey(ctx, c, q.newKey(c, d.kms.Now()), q.material.wrapped())
	return d.key(ctx, k, err)
}

// importVersionRequest is ImportKeyVersionDetails.
type importVersionRequest struct {
	labels
	key      kms.KeyRef
	material wrappedDetails
}

func (q *importVersionRequest) field(r *reader, name []byte) bool {
	switch string(name) {
	case "wrappedImportKey":
		q.material.read(r)
	case "displayName":
		return false // versions have none
	default:
		return q.labels.field(r, name)
	}
	return true
}

// decode refuses tags: a version has none in any answer, so that whoever sets some would never
// find them again.
func (q *importVersionRequest) decode(in *input) (err error) {
	if q.key, err = in.pathKey(); err != nil {
		return err
	}
	if err := in.body(q); err != nil {
		return err
	}
	switch {
	case len(q.freeformTags) > 0:
		return keys.Invalid("freeformTags", "key versions have no tags: tag the key")
	case len(q.definedTags) > 0:
		return keys.Invalid("definedTags", "key versions have no tags: tag the key")
	}
	return q.material.check()
}

func (d *Dialect) importKeyVersion(ctx context.Context, c *kms.Call, q *importVersionRequest) (one, error) {
	v, err := d.kms.ImportVersion(ctx, c, q.key, q.material.wrapped())
	return d.version(ctx, v, err)
}
