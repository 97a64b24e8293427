// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"strconv"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// keyMetadata is the answer of CreateKey and DescribeKey.
type keyMetadata struct {
	*kms.Key
	region, account string // the cloud's names
	instance        string // "" outside of instances
	protection      bool   // show the deletion protection, as DescribeKey does
}

func (d *Dialect) metadata(ctx context.Context, k *kms.Key, protection bool) (*keyMetadata, error) {
	account, err := d.service.TenantName(ctx, k.Tenant, Name)
	if err != nil {
		return nil, err
	}
	m := &keyMetadata{Key: k, region: d.cfg.Regions[k.Region], account: account, protection: protection}
	if !k.InVault.Default {
		m.instance, err = d.instanceName(ctx, k.Vault)
	}
	return m, err
}

func (m *keyMetadata) about() *keys.Key { return &m.Key.Key }

func (m *keyMetadata) write(d *document) { d.object("KeyMetadata", func() { m.members(d) }) }

func (m *keyMetadata) members(d *document) {
	d.id("KeyId", m.ID)
	d.text("Arn", KeyARN(m.region, m.account, m.ID))
	d.text("KeyState", nameOfState(m.State))
	d.text("KeySpec", nameOfSpec(m.Spec))
	d.text("KeyUsage", nameOfUsage(m.Usages))
	d.text("Origin", nameOfOrigin(m.Origin))
	d.text("ProtectionLevel", string(m.Protection))
	d.text("Creator", m.account)
	d.time("CreationDate", m.CreatedAt)
	d.text("Description", m.Description)
	m.rotation(d)
	d.time("LastRotationDate", m.LastVersionAt)
	if m.Spec.Sealing() { // an HMAC key's version is named nowhere
		primary := ""
		if m.State != keys.PendingImport && !m.Primary.IsZero() {
			primary = VersionName(m.Primary)
		}
		d.text("PrimaryKeyVersion", primary)
	}
	d.time("MaterialExpireTime", m.MaterialExpiresAt)
	var deleteAt time.Time
	if m.State == keys.PendingDeletion {
		deleteAt = m.DeleteAt
	}
	d.time("DeleteDate", deleteAt)
	if m.instance != "" {
		d.text("DKMSInstanceId", m.instance)
	}
	if m.protection {
		protected := "Disabled"
		if m.DeletionProtected {
			protected = "Enabled"
		}
		d.text("DeletionProtection", protected)
		d.text("DeletionProtectionDescription", m.DeletionProtection)
	}
}

func (m *keyMetadata) rotation(d *document) {
	switch {
	case m.Rotation.Interval == 0:
		d.text("AutomaticRotation", "Disabled")
		return
	case m.RotationSuspended():
		d.text("AutomaticRotation", "Suspended")
	default:
		d.text("AutomaticRotation", "Enabled")
	}
	d.text("RotationInterval", strconv.FormatInt(int64(m.Rotation.Interval/time.Second), 10)+"s")
	d.time("NextRotationDate", m.Rotation.Next)
}
