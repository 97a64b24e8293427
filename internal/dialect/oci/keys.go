// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// keyModel is Key.
type keyModel struct {
	ID                          string                       `json:"id"`
	CompartmentID               string                       `json:"compartmentId"`
	VaultID                     string                       `json:"vaultId"`
	DisplayName                 string                       `json:"displayName"`
	KeyShape                    keyShapeModel                `json:"keyShape"`
	ProtectionMode              string                       `json:"protectionMode"`
	LifecycleState              string                       `json:"lifecycleState"`
	CurrentKeyVersion           *string                      `json:"currentKeyVersion"`
	TimeCreated                 string                       `json:"timeCreated"`
	TimeOfDeletion              *string                      `json:"timeOfDeletion"`
	RestoredFromKeyID           *string                      `json:"restoredFromKeyId"`
	ReplicaDetails              *replicaDetails              `json:"replicaDetails"`
	IsPrimary                   bool                         `json:"isPrimary"`
	IsAutoRotationEnabled       bool                         `json:"isAutoRotationEnabled"`
	AutoKeyRotationDetails      *rotationModel               `json:"autoKeyRotationDetails"`
	ExternalKeyReferenceDetails *string                      `json:"externalKeyReferenceDetails"`
	FreeformTags                map[string]string            `json:"freeformTags"`
	DefinedTags                 map[string]map[string]string `json:"definedTags"`
}

// keyShapeModel is KeyShape.
type keyShapeModel struct {
	Algorithm string  `json:"algorithm"`
	Length    int     `json:"length"`
	CurveID   *string `json:"curveId"`
}

// keySummary is KeySummary.
type keySummary struct {
	ID                          string                       `json:"id"`
	CompartmentID               string                       `json:"compartmentId"`
	VaultID                     string                       `json:"vaultId"`
	DisplayName                 string                       `json:"displayName"`
	Algorithm                   string                       `json:"algorithm"`
	ProtectionMode              string                       `json:"protectionMode"`
	LifecycleState              string                       `json:"lifecycleState"`
	TimeCreated                 string                       `json:"timeCreated"`
	IsAutoRotationEnabled       bool                         `json:"isAutoRotationEnabled"`
	ExternalKeyReferenceDetails *string                      `json:"externalKeyReferenceDetails"`
	FreeformTags                map[string]string            `json:"freeformTags"`
	DefinedTags                 map[string]map[string]string `json:"definedTags"`
}

func (d *Dialect) key(ctx context.Context, k *kms.Key, err error) (one, error) {
	if err != nil {
		return one{}, err
	}
	compartment, err := d.compartments(ctx).name(k.Tenant, k.Compartment)
	if err != nil {
		return one{}, err
	}
	k = d.settling.key(k)
	sh, _ := shapeOf(k.Spec)
	model := keyModel{
		ID: d.namer.KeyName(&k.Key), CompartmentID: compartment, VaultID: d.namer.VaultName(&k.InVault), DisplayName: displayName(&k.Key),
		KeyShape:       keyShapeModel{Algorithm: sh.algorithm, Length: sh.length, CurveID: textOrNull(sh.curve)},
		ProtectionMode: nameOf(protectionModes, k.Protection), LifecycleState: stateName(shown(k.Busy, k.State)),
		TimeCreated: timeText(k.CreatedAt), TimeOfDeletion: deletionTime(k.DeleteAt),
		ReplicaDetails: replicaOf(&k.InVault), IsPrimary: !k.Through,
		IsAutoRotationEnabled: k.Rotation.Interval != 0, AutoKeyRotationDetails: rotation(k.Rotation),
		FreeformTags: freeform(k.Tags), DefinedTags: defined(k.Tags),
	}
	if !k.Primary.IsZero() {
		current := d.namer.versionName(k.Region, k.Vault, k.ID, k.Primary)
		model.CurrentKeyVersion = &current
	}
	if k.Restored != nil {
		from := d.namer.keyName(k.Region, k.Vault, k.Restored.From)
		model.RestoredFromKeyID = &from
	}
	return one{etag: k.ETag, body: model, software: d.cfg.SoftwareHSM && k.Protection == keys.HSM}, nil
}

// keyRequest names a key and nothing else.
type keyRequest struct{ key kms.KeyRef }

func (q *keyRequest) decode(in *input) (err error) {
	in.noBody()
	q.key, err = in.pathKey()
	return err
}

func (d *Dialect) getKey(ctx context.Context, c *kms.Call, q *keyRequest) (one, error) {
	k, err := d.kms.Key(ctx, c, q.key)
	return d.key(ctx, k, err)
}

func (d *Dialect) enableKey(ctx context.Context, c *kms.Call, q *keyRequest) (one, error) {
	k, err := d.kms.ChangeKeyState(ctx, c, q.key, keys.EnableKey)
	return d.key(ctx, k, err)
}

func (d *Dialect) disableKey(ctx context.Context, c *kms.Call, q *keyRequest) (one, error) {
	k, err := d.kms.ChangeKeyState(ctx, c, q.key, keys.DisableKey)
	return d.key(ctx, k, err)
}

func (d *Dialect) cancelKeyDeletion(ctx context.Context, c *kms.Call, q *keyRequest) (one, error) {
	k, err := d.kms.ChangeKeyState(ctx, c, q.key, keys.CancelKeyDeletion)
	return d.key(ctx, k, err)
}

// listKeysRequest asks for the keys of one compartment in the endpoint's vault.
type listKeysRequest struct {
	compartment string
	specs       []keys.Spec
	protection  keys.Protection
	page        kms.Page
}

func (q *listKeysRequest) decode(in *input) (err error) {
	if q.compartment, err = in.compartment(); err != nil {
		return err
	}
	if q.protection, _, err = pick(in, "protectionMode", protectionModes); err != nil {
		return err
	}
	algorithm, _, err := pick(in, "algorithm", algorithmNames)
	if err != nil {
		return err
	}
	curve, _, err := pick(in, "curveId", curveNames)
	if err != nil {
		return err
	}
	length := 0
	if text, given := in.parameter("length"); given {
		if length, err = strconv.Atoi(text); err != nil || length < 1 {
			return keys.Invalid("length", "length must be a number of bytes")
		}
	}
	if q.specs = specsOf(algorithm, length, curve); len(q.specs) == 0 {
		q.specs = []keys.Spec{noSpec} // no specs at all would mean every one
	}
	q.page, err = in.page()
	return err
}

// noSpec is the spec of no key.
const noSpec keys.Spec = "NONE"

func (d *Dialect) listKeys(ctx context.Context, c *kms.Call, q *listKeysRequest) (page[keySummary], error) {
	list, err := d.kms.Keys(ctx, c, kms.KeyFilter{Vault: c.Vault, Compartment: q.compartment, Specs: q.specs, Protection: q.protection}, q.page)
	if err != nil {
		return page[keySummary]{}, err
	}
	out := page[keySummary]{next: list.Next}
	names := d.compartments(ctx)
	for _, k := range list.Items {
		if !d.settling.listed(k.ID, k.State) {
			continue
		}
		k = d.settling.key(k)
		compartment, err := names.name(k.Tenant, k.Compartment)
		if err != nil {
			return out, err
		}
		sh, _ := shapeOf(k.Spec)
		out.items = append(out.items, keySummary{
			ID: d.namer.KeyName(&k.Key), CompartmentID: compartment, VaultID: d.namer.VaultName(&k.InVault), DisplayName: displayName(&k.Key),
			Algorithm: sh.algorithm, ProtectionMode: nameOf(protectionModes, k.Protection), LifecycleState: stateName(shown(k.Busy, k.State)),
			TimeCreated: timeText(k.CreatedAt), IsAutoRotationEnabled: k.Rotation.Interval != 0,
			FreeformTags: freeform(k.Tags), DefinedTags: defined(k.Tags),
		})
	}
	return out, nil
}

// keyShapeDetails is KeyShape in a request.
type keyShapeDetails struct {
	given     bool
	algorithm string
	length    *int
	curve     string
}

func (q *keyShapeDetails) field(r *reader, name []byte) bool {
	switch string(name) {
	case "algorithm":
		q.algorithm, _ = choice(r, algorithmNames)
	case "length":
		q.length = r.integer(true)
	case "curveId":
		q.curve, _ = choice(r, curveNames)
	default:
		return false
	}
	return true
}

// spec is the only spec of that shape.
func (q *keyShapeDetails) spec() (keys.Spec, error) {
	switch {
	case !q.given:
		return "", keys.Missing("keyShape")
	case q.algorithm == "":
		return "", keys.Missing("keyShape.algorithm")
	case q.length == nil:
		return "", keys.Missing("keyShape.length")
	}
	if *q.length <= 0 || len(specsOf(q.algorithm, *q.length, "")) == 0 {
		return "", keys.Invalid("keyShape.length", fmt.Sprintf("there is no %s key of %d bytes: AES has 16, 24 or 32, RSA 256, 384 or 512, ECDSA 32, 48 or 66", q.algorithm, *q.length))
	}
	if specs := specsOf(q.algorithm, *q.length, q.curve); len(specs) == 1 {
		return specs[0], nil
	}
	return "", keys.Invalid("keyShape.curveId", "keyShape.curveId goes with ECDSA only, and with its own length: NIST_P256 with 32, NIST_P384 with 48, NIST_P521 with 66")
}

// createKeyDetails is CreateKeyDetails.
type createKeyDetails struct {
	labels
	rotationDetails
	compartmentID string
	shape         keyShapeDetails
	spec          keys.Spec
	protection    keys.Protection
	externalGiven bool // externalKeyReference
}

func (q *createKeyDetails) field(r *reader, name []byte) bool {
	switch string(name) {
	case "compartmentId":
		q.compartmentID = r.text()
	case "keyShape":
		if q.shape.given = !r.null(); q.shape.given {
			r.object(&q.shape)
		}
	case "protectionMode":
		q.protection, _ = choice(r, protectionModes)
	case "externalKeyReference":
		q.externalGiven = r.present()
	default:
		return q.labels.field(r, name) || q.rotationDetails.field(r, name)
	}
	return true
}

func (q *createKeyDetails) decode(in *input) error {
	if err := in.body(q); err != nil {
		return err
	}
	return q.check(in)
}

func (q *createKeyDetails) check(in *input) (err error) {
	switch {
	case q.compartmentID == "":
		return keys.Missing("compartmentId")
	case q.displayName == nil:
		return keys.Missing("displayName")
	case q.protection == external:
		return keys.Invalid("protectionMode", "keys in a third party's key manager are not supported: use HSM or SOFTWARE")
	case q.externalGiven:
		return keys.Invalid("externalKeyReference", "externalKeyReference goes with protectionMode EXTERNAL only, which is not supported")
	case q.protection == "":
		q.protection = keys.HSM
	}
	if q.spec, err = q.shape.spec(); err != nil {
		return err
	}
	if err := q.checkRotation(in, false); err != nil {
		return err
	}
	return q.checkLabels()
}

// newKey is the wish that the details are.
func (q *createKeyDetails) newKey(c *kms.Call, now time.Time) kms.NewKey {
	return kms.NewKey{
		Vault: c.Vault, Compartment: q.compartmentID, Name: *q.displayName, Spec: q.spec, Usages: q.spec.Usages(),
		Origin: keys.Generated, Protection: q.protection, Rotation: q.policy(now), Tags: q.tags(),
	}
}

func (d *Dialect) createKey(ctx context.Context, c *kms.Call, q *createKeyDetails) (one, error) {
	k, err := d.kms.CreateKey(ctx, c, q.newKey(c, d.kms.Now()))
	return d.key(ctx, k, err)
}

// updateKeyDetails is UpdateKeyDetails.
type updateKeyDetails struct {
	labels
	rotationDetails
	key kms.KeyRef
}

func (q *updateKeyDetails) field(r *reader, name []byte) bool {
	return q.labels.field(r, name) || q.rotationDetails.field(r, name)
}

func (q *updateKeyDetails) decode(in *input) (err error) {
	if q.key, err = in.pathKey(); err != nil {
		return err
	}
	if err := in.body(q); err != nil {
		return err
	}
	if err := q.checkRotation(in, true); err != nil {
		return err
	}
	return q.checkLabels()
}

func (d *Dialect) updateKey(ctx context.Context, c *kms.Call, q *updateKeyDetails) (one, error) {
	k, err := d.kms.UpdateKey(ctx, c, q.key, kms.KeyUpdate{
		Action: keys.UpdateKey, Name: q.displayName, Plain: q.newPlain(), Namespaced: q.newNamespaced(), Rotation: q.policy(d.kms.Now()),
	})
	return d.key(ctx, k, err)
}

type scheduleKeyRequest struct {
	scheduleDetails
	key kms.KeyRef
}

func (q *scheduleKeyRequest) decode(in *input) (err error) {
	if q.key, err = in.pathKey(); err != nil {
		return err
	}
	return in.body(&q.scheduleDetails)
}

func (d *Dialect) scheduleKeyDeletion(ctx context.Context, c *kms.Call, q *scheduleKeyRequest) (one, error) {
	k, err := d.kms.ScheduleKeyDeletion(ctx, c, q.key, q.timeOfDeletion)
	return d.key(ctx, k, err)
}

type moveKeyRequest struct {
	compartmentDetails
	key kms.KeyRef
}

func (q *moveKeyRequest) decode(in *input) (err error) {
	if q.key, err = in.pathKey(); err != nil {
		return err
	}
	return q.read(in)
}

func (d *Dialect) changeKeyCompartment(ctx context.Context, c *kms.Call, q *moveKeyRequest) (one, error) {
	k, err := d.kms.MoveKey(ctx, c, q.key, q.compartmentID)
	if err != nil {
		return one{}, err
	}
	return one{etag: k.ETag}, nil
}
