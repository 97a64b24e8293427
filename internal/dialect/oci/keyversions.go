// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/pem"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// keyVersionModel is KeyVersion. isPrimary is about replicas: it does not mark the current version.
type keyVersionModel struct {
	ID                          string         `json:"id"`
	CompartmentID               string         `json:"compartmentId"`
	TimeCreated                 string         `json:"timeCreated"`
	VaultID                     string         `json:"vaultId"`
	KeyID                       string         `json:"keyId"`
	IsPrimary                   bool           `json:"isPrimary"`
	LifecycleState              string         `json:"lifecycleState"`
	Origin                      string         `json:"origin"`
	PublicKey                   *string        `json:"publicKey"`
	ReplicaDetails              replicaDetails `json:"replicaDetails"`
	RestoredFromKeyVersionID    *string        `json:"restoredFromKeyVersionId"`
	TimeOfDeletion              *string        `json:"timeOfDeletion"`
	ExternalKeyReferenceDetails *string        `json:"externalKeyReferenceDetails"`
	IsAutoRotated               bool           `json:"isAutoRotated"`
}

// keyVersionSummary is KeyVersionSummary.
type keyVersionSummary struct {
	ID                          string  `json:"id"`
	CompartmentID               string  `json:"compartmentId"`
	TimeCreated                 string  `json:"timeCreated"`
	VaultID                     string  `json:"vaultId"`
	KeyID                       string  `json:"keyId"`
	LifecycleState              string  `json:"lifecycleState"`
	Origin                      string  `json:"origin"`
	TimeOfDeletion              *string `json:"timeOfDeletion"`
	ExternalKeyReferenceDetails *string `json:"externalKeyReferenceDetails"`
	IsAutoRotated               bool    `json:"isAutoRotated"`
}

func (d *Dialect) versionSummary(v *kms.Version, compartment string) keyVersionSummary {
	out := keyVersionSummary{
		ID: d.namer.VersionName(&v.Version), CompartmentID: compartment, TimeCreated: timeText(v.CreatedAt),
		VaultID: d.namer.VaultName(&v.OfKey.InVault), KeyID: d.namer.KeyName(&v.OfKey.Key),
		LifecycleState: stateName(versionState(v)), Origin: originName(v.Origin), IsAutoRotated: v.AutoRotated,
	}
	if v.Version.State != keys.Enabled {
		out.TimeOfDeletion = deletionTime(v.DeleteAt)
	}
	return out
}

func (d *Dialect) version(ctx context.Context, v *kms.Version, err error) (one, error) {
	if err != nil {
		return one{}, err
	}
	compartment, err := d.compartments(ctx).name(v.Tenant, v.OfKey.Compartment)
	if err != nil {
		return one{}, err
	}
	v = d.settling.version(v)
	s := d.versionSummary(v, compartment)
	model := keyVersionModel{
		ID: s.ID, CompartmentID: s.CompartmentID, TimeCreated: s.TimeCreated, VaultID: s.VaultID, KeyID: s.KeyID, IsPrimary: !v.OfKey.Through,
		LifecycleState: s.LifecycleState, Origin: s.Origin, TimeOfDeletion: s.TimeOfDeletion, IsAutoRotated: s.IsAutoRotated,
	}
	if r := replicaOf(&v.OfKey.InVault); r != nil {
		model.ReplicaDetails = *r
	}
	if v.Restored != nil {
		from := d.namer.versionName(v.Region, v.Vault, v.Key, v.Restored.From)
		model.RestoredFromKeyVersionID = &from
	}
	if len(v.PublicKey) > 0 {
		text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: v.PublicKey}))
		model.PublicKey = &text
	}
	return one{etag: v.ETag, body: model, software: d.cfg.SoftwareHSM && v.OfKey.Protection == keys.HSM}, nil
}

// versionRequest names a version and nothing else.
type versionRequest struct {
	key     kms.KeyRef
	version kms.VersionRef
}

func (q *versionRequest) decode(in *input) (err error) {
	in.noBody()
	q.key, q.version, err = in.pathVersion()
	return err
}

func (d *Dialect) getKeyVersion(ctx context.Context, c *kms.Call, q *versionRequest) (one, error) {
	v, err := d.kms.Version(ctx, c, q.key, q.version)
	return d.version(ctx, v, err)
}

func (d *Dialect) cancelKeyVersionDeletion(ctx context.Context, c *kms.Call, q *versionRequest) (one, error) {
	v, err := d.kms.CancelVersionDeletion(ctx, c, q.key, q.version)
	return d.version(ctx, v, err)
}

type scheduleVersionRequest struct {
	scheduleDetails
	key     kms.KeyRef
	version kms.VersionRef
}

func (q *scheduleVersionRequest) decode(in *input) (err error) {
	if q.key, q.version, err = in.pathVersion(); err != nil {
		return err
	}
	return in.body(&q.scheduleDetails)
}

func (d *Dialect) scheduleKeyVersionDeletion(ctx context.Context, c *kms.Call, q *scheduleVersionRequest) (one, error) {
	v, err := d.kms.ScheduleVersionDeletion(ctx, c, q.key, q.version, q.timeOfDeletion)
	return d.version(ctx, v, err)
}

// createVersionRequest is ExternalKeyVersionReference, the body that CreateKeyVersion may have.
type createVersionRequest struct {
	key             kms.KeyRef
	externalVersion *string
}

func (q *createVersionRequest) field(r *reader, name []byte) bool {
	if string(name) != "externalKeyVersionId" {
		return false
	}
	q.externalVersion = r.optionalText()
	return true
}

func (q *createVersionRequest) decode(in *input) (err error) {
	if q.key, err = in.pathKey(); err != nil {
		return err
	}
	if err := in.body(q); err != nil {
		return err
	}
	if q.externalVersion != nil {
		return keys.Invalid("externalKeyVersionId", "versions of keys in a third party's key manager are not supported")
	}
	return nil
}

func (d *Dialect) createKeyVersion(ctx context.Context, c *kms.Call, q *createVersionRequest) (one, error) {
	v, err := d.kms.Rotate(ctx, c, q.key)
	return d.version(ctx, v, err)
}

// listVersionsRequest asks for the versions of a key. They have no names, so that sorting by
// name is sorting by age.
type listVersionsRequest struct {
	key  kms.KeyRef
	page kms.Page
}

func (q *listVersionsRequest) decode(in *input) (err error) {
	if q.key, err = in.pathKey(); err != nil {
		return err
	}
	q.page, err = in.page()
	return err
}

func (d *Dialect) listKeyVersions(ctx context.Context, c *kms.Call, q *listVersionsRequest) (page[keyVersionSummary], error) {
	list, err := d.kms.Versions(ctx, c, q.key, q.page, false)
	if err != nil {
		return page[keyVersionSummary]{}, err
	}
	out := page[keyVersionSummary]{next: list.Next}
	names := d.compartments(ctx)
	for _, v := range list.Items {
		if !d.settling.listed(v.ID, v.State) {
			continue
		}
		v = d.settling.version(v)
		compartment, err := names.name(v.Tenant, v.OfKey.Compartment)
		if err != nil {
			return out, err
		}
		out.items = append(out.items, d.versionSummary(v, compartment))
	}
	return out, nil
}
