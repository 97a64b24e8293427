// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

const maxDescription = 8192 // characters

// nothing is the answer of operations that only say that they worked.
type nothing struct{}

func (nothing) write(*document) {}

type createKeyRequest struct{ key kms.NewKey }

func (q *createKeyRequest) read(r *reader) {
	k := &q.key
	k.Origin = keys.Generated
	k.Spec = r.newSpec("KeySpec")
	k.Usages = r.newUsage("KeyUsage", k.Spec)
	k.Protection = keys.Software
	if v, _ := r.optional("ProtectionLevel"); v != "" {
		var ok bool
		if k.Protection, ok = protectionByName(v); !ok {
			r.invalid("ProtectionLevel", "ProtectionLevel takes SOFTWARE or HSM")
		}
	}
	switch v, _ := r.optional("Origin"); v {
	case "", originHere:
	case originExternal:
		if k.Origin = keys.Imported; k.Spec != "" && !k.Spec.Sealing() {
			r.fail(&keys.Error{Kind: keys.KindUnsupported, Field: "origin", Hint: "only material of symmetric keys is imported: " + nameOfSpec(k.Spec) + " keys are made here"})
		}
	default:
		r.invalid("Origin", "Origin takes Aliyun_KMS or EXTERNAL")
	}
	k.Description = r.counted("Description", maxDescription)
	k.Rotation = r.rotation()
	k.Tags.Plain = r.tags("Tags", maxTags)
	if v, _ := r.optional("DKMSInstanceId"); v != "" {
		vault := r.instanceID("DKMSInstanceId")
		k.Vault, k.VaultName = vault.ID, vault.External
	}
	r.refused("Policy", noKeyPolicy("Policy"))
	r.refused("KeyStorageMechanism", keys.Invalid("KeyStorageMechanism", "KeyStorageMechanism is for keys of a hardware instance"))
}

func (r *reader) newSpec(name string) keys.Spec {
	v, _ := r.optional(name)
	if v == "" {
		return keys.AES256
	}
	spec, ok := specByName(v)
	if ok {
		return spec
	}
	for _, absent := range absentSpecs {
		if v == absent {
			r.fail(&keys.Error{Kind: keys.KindNotImplemented, Field: name, Hint: v + " keys are not supported"})
			return ""
		}
	}
	r.invalid(name, "unknown KeySpec "+clip(v))
	return ""
}

// newUsage is the usage of a new key: without one it signs if it can, else it does the one thing
// that it can.
func (r *reader) newUsage(name string, spec keys.Spec) keys.Usage {
	v, _ := r.optional(name)
	if v == "" {
		if spec.Usages().Has(keys.UsageSign) {
			return keys.UsageSign
		}
		return spec.Usages()
	}
	usage, ok := usageByName(v)
	switch {
	case !ok:
		r.invalid(name, "KeyUsage takes "+usageEncrypt+", "+usageSign+" or "+usageMAC)
	case spec != "" && !spec.Usages().Has(usage):
		r.invalid(name, "a "+nameOfSpec(spec)+" key cannot "+usage.String())
	}
	return usage
}

// rotation reads EnableAutomaticRotation and RotationInterval; nil leaves rotation off.
func (r *reader) rotation() *kms.RotationPolicy {
	enabled, _ := r.boolean("EnableAutomaticRotation")
	interval := r.interval("RotationInterval")
	if !enabled {
		r.p.disregard("RotationInterval") // it has an effect with rotation only
		return nil
	}
	if interval == 0 {
		r.fail(keys.Missing("RotationInterval"))
	}
	return &kms.RotationPolicy{Enabled: true, Interval: interval}
}

func (d *Dialect) createKey(ctx context.Context, c *kms.Call, q *createKeyRequest) (*keyMetadata, error) {
	k, err := d.service.CreateKey(ctx, c, q.key)
	if err != nil {
		return nil, err
	}
	return d.metadata(ctx, k, false)
}

// keyNameRequest names a key by id, alias or ARN.
type keyNameRequest struct{ key string }

func (q *keyNameRequest) read(r *reader) { q.key = r.keyName("KeyId") }

func (d *Dialect) describeKey(ctx context.Context, c *kms.Call, q *keyNameRequest) (*keyMetadata, error) {
	ref, err := d.resolve(ctx, c, q.key)
	if err != nil {
		return nil, err
	}
	k, err := d.service.Key(ctx, c, ref)
	if err != nil {
		return nil, err
	}
	return d.metadata(ctx, k, true)
}

// keyIDRequest names a key by id.
type keyIDRequest struct{ key kms.KeyRef }

func (q *keyIDRequest) read(r *reader) { q.key = r.keyID("KeyId") }

// changeState makes the handler of an operation that is one lifecycle action.
func (d *Dialect) changeState(action keys.Action) func(context.Context, *kms.Call, *keyIDRequest) (nothing, error) {
	return func(ctx context.Context, c *kms.Call, q *keyIDRequest) (nothing, error) {
		_, err := d.service.ChangeKeyState(ctx, c, q.key, action)
		return nothing{}, err
	}
}

type scheduleDeletionRequest struct {
	key  kms.KeyRef
	days int
}

func (q *scheduleDeletionRequest) read(r *reader) {
	q.key = r.keyID("KeyId")
	r.text("PendingWindowInDays")
	w := deletionWindow
	q.days = r.integer("PendingWindowInDays", 0, int(w.Min/keys.Day), int(w.Max/keys.Day))
}

func (d *Dialect) scheduleKeyDeletion(ctx context.Context, c *kms.Call, q *scheduleDeletionRequest) (nothing, error) {
	at := d.service.Now().Add(time.Duration(q.days) * keys.Day)
	_, err := d.service.ScheduleKeyDeletion(ctx, c, q.key, at)
	return nothing{}, err
}

type updateDescriptionRequest struct {
	key         kms.KeyRef
	description string
}

// read takes an absent Description as empty: that is how Terraform clears it.
func (q *updateDescriptionRequest) read(r *reader) {
	q.key = r.keyID("KeyId")
	q.description = r.counted("Description", maxDescription)
}

func (d *Dialect) updateKeyDescription(ctx context.Context, c *kms.Call, q *updateDescriptionRequest) (nothing, error) {
	_, err := d.service.UpdateKey(ctx, c, q.key, kms.KeyUpdate{Action: keys.UpdateKey, Description: &q.description})
	return nothing{}, err
}

type rotationPolicyRequest struct {
	key    kms.KeyRef
	policy kms.RotationPolicy
}

func (q *rotationPolicyRequest) read(r *reader) {
	q.key = r.keyID("KeyId")
	r.text("EnableAutomaticRotation")
	if p := r.rotation(); p != nil {
		q.policy = *p
	}
}

func (d *Dialect) updateRotationPolicy(ctx context.Context, c *kms.Call, q *rotationPolicyRequest) (nothing, error) {
	_, err := d.service.SetRotation(ctx, c, q.key, q.policy)
	return nothing{}, err
}
