// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// finishKey shows a restored key.
func (x *restore) finishKey(m *mutation) (*Key, error) {
	if x.staged == nil {
		return nil, x.exists
	}
	if err := x.keysVault(m); err != nil {
		return nil, err
	}
	k, err := store.LoadKey(m.tx, x.subject())
	if err != nil || k.State != keys.Restoring || k.Revision != x.staged.revision {
		return nil, overtaken(err)
	}
	final := x.staged.final
	if k.State, err = keys.KeyLifecycle.Step(x.action, k.State, final.State); err != nil {
		return nil, err
	}
	k.Before, k.DeleteAt = final.Before, final.DeleteAt
	m.ev.Key = k.ID
	if err := m.tx.Put(k); err != nil {
		return nil, err
	}
	return viewKey(k, x.vault, m.now), x.fits(m)
}

// finishVault shows a restored vault with all that is in it.
func (x *restore) finishVault(m *mutation) (*Vault, error) {
	if x.staged == nil {
		return nil, x.exists
	}
	if err := m.may(x.action, identity.Resource{Tenant: x.tenant.ID}); err != nil {
		return nil, err
	}
	v, err := store.LoadVault(m.tx, x.subject())
	if err != nil || v.State != keys.Restoring || v.Revision != x.staged.revision {
		return nil, overtaken(err)
	}
	if v.State, err = keys.VaultLifecycle.Step(x.action, v.State, keys.Active); err != nil {
		return nil, err
	}
	v.DeleteAt = time.Time{}
	if err := m.tx.Put(v); err != nil {
		return nil, err
	}
	return viewVault(v, m.now), x.fits(m)
}

// overtaken says that what was staged is no longer there, or no longer this restore's.
func overtaken(err error) error {
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return &keys.Error{Kind: keys.KindUnavailable, Hint: "the restore was interrupted by another one, or took too long: repeat it"}
}

// fits applies the quotas, in which all that was staged is counted by now, and says in the audit
// event what was left out.
func (x *restore) fits(m *mutation) error {
	m.ev.Tenant, m.ev.Vault = x.tenant.ID, x.manifest.Vault.ID
	for _, q := range []struct {
		noun        keys.Type
		added, most int
	}{
		{keys.TypeVault, x.manifest.Counts.Vaults, m.c.Profile.VaultsPerRegion},
		{keys.TypeKey, x.manifest.Counts.Keys, m.c.Profile.KeysPerRegion},
		{keys.TypeAlias, x.staged.aliases, m.c.Profile.AliasesPerRegion},
	} {
		if q.added == 0 || q.most == 0 {
			continue
		}
		n, err := m.tx.Count(store.Counter{Type: q.noun, Tenant: x.tenant.ID, Region: x.manifest.Region})
		if err != nil {
			return err
		}
		if n > q.most {
			return &keys.Error{
				Kind: keys.KindLimit, Noun: q.noun, Action: x.action,
				Hint: fmt.Sprintf("with the backup's there would be %d of at most %d in this tenant and region", n, q.most),
			}
		}
	}
	if len(x.taken) > 0 {
		m.ev.Reason = "these aliases lead to other keys by now, and stay with them: " + strings.Join(x.taken, ", ")
	}
	return nil
}
