// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"errors"
	"fmt"

	"claviger/internal/keys"
)

// order follows the records of an archive, as they are written or read: which may come next, and
// whose each is. It keeps copies: whoever reads a record may change it.
type order struct {
	m            *Manifest
	counts       Counts
	tenant       *keys.Tenant
	compartments map[keys.ID]bool // of the tenant
	vault        *keys.Vault      // the last one; likewise
	key          *keys.Key
	version      *keys.Version // of the key
	primary      bool          // the key's primary version was seen, and is not on its way out
}

var errOrder = errors.New("its records are in another order than any archive's")

// admit checks a record in its place, and fills in whose it is.
func (o *order) admit(r *Record) error {
	if r.Version == nil && r.hasSecrets() {
		return errRecord
	}
	switch {
	case r.Tenant != nil:
		return o.admitTenant(r.Tenant)
	case o.tenant == nil:
		return errOrder
	case r.Compartment != nil:
		return o.admitCompartment(r.Compartment)
	case r.Vault != nil:
		return o.admitVault(r.Vault)
	case r.Key != nil:
		return o.admitKey(r.Key)
	case r.External != nil:
		return o.admitExternal(r.External)
	case o.key == nil:
		return errOrder
	case r.Alias != nil:
		return o.admitAlias(r.Alias)
	}
	return o.admitVersion(r)
}

func (o *order) admitTenant(t *keys.Tenant) error {
	if o.tenant != nil || t.ID != o.m.Tenants[0].ID {
		return errOrder
	}
	own := *t
	o.tenant, o.compartments = &own, map[keys.ID]bool{t.ID: true}
	return checkNamed(t.ID, t.Name, t.CreatedAt)
}

func (o *order) admitCompartment(c *keys.Compartment) error {
	c.Tenant = o.tenant.ID
	if o.compartments[c.ID] {
		return errOrder
	}
	o.compartments[c.ID] = true
	return checkNamed(c.ID, c.Name, c.CreatedAt)
}

func (o *order) admitVault(v *keys.Vault) error {
	v.Tenant = o.tenant.ID
	if o.m.Kind != KindVault || o.vault != nil || v.ID != o.m.Vault.ID || v.Region != o.m.Region ||
		v.State != keys.Active || !o.compartments[v.Compartment] {
		return errOrder
	}
	own := *v
	o.vault = &own
	o.counts.Vaults++
	return checkVault(v)
}

func (o *order) admitKey(k *keys.Key) error {
	if err := o.keyDone(); err != nil {
		return err
	}
	k.Tenant, k.Region = o.tenant.ID, o.m.Region
	gone := k.State == keys.PendingDeletion || k.State == keys.Deleted
	right := o.m.Kind == KindKey && o.key == nil && k.ID == o.m.Key.ID && !gone
	if o.m.Kind == KindVault {
		right = o.vault != nil && (o.m.WithKeys || k.Hidden)
	}
	if k.Hidden && (o.m.Kind == KindKey || k.ID != keys.WrappingKeyID(k.Vault)) {
		right = false
	}
	if !right || k.Vault != o.m.Vault.ID || !o.compartments[k.Compartment] {
		return errOrder
	}
	own := *k
	o.key, o.version, o.primary = &own, nil, false
	o.counts.Keys++
	return checkKey(k)
}

// keyDone checks what can be said of a key once its last version was seen.
func (o *order) keyDone() error {
	if k := o.key; k != nil && !k.Primary.IsZero() && !o.primary && k.State != keys.Deleted {
		return errors.New("a key's primary version is none of its versions")
	}
	return nil
}

func (o *order) admitAlias(a *keys.Alias) error {
	a.Tenant, a.Region, a.Key = o.tenant.ID, o.m.Region, o.key.ID
	if o.version != nil {
		return errOrder
	}
	return checkNamed(a.Key, a.Name, a.CreatedAt)
}

func (o *order) admitExternal(x *External) error {
	switch {
	case x.Type == keys.TypeVault && o.vault != nil && o.key == nil:
		x.ID = o.vault.ID
	case x.Type == keys.TypeKey && o.key != nil && o.version == nil:
		x.ID = o.key.ID
	case x.Type == keys.TypeVersion && o.version != nil:
		x.ID = o.version.ID
	default:
		return errOrder
	}
	if x.Dialect == "" || x.Name == "" {
		return errNamed
	}
	return nil
}

func (o *order) admitVersion(r *Record) error {
	v, k := r.Version, o.key
	v.Tenant, v.Vault, v.Key, v.Region = k.Tenant, k.Vault, k.ID, k.Region
	before := 0
	if o.version != nil {
		before = o.version.Ordinal
	}
	if v.Ordinal <= before || v.Ordinal > k.Versions || (k.State == keys.Deleted && v.State != keys.Deleted) {
		return errOrder
	}
	own := *v
	o.version = &own
	o.counts.Versions++
	if v.ID == k.Primary && (v.State == keys.Enabled || v.State == keys.PendingImport) {
		o.primary = true
	}
	return checkVersion(r)
}

// end checks the totals at the end.
func (o *order) end(total Counts) error {
	if err := o.keyDone(); err != nil {
		return err
	}
	if total != o.counts || o.m.Counts != o.counts {
		return fmt.Errorf("its totals are %+v, its manifest says %+v, and it holds %+v", total, o.m.Counts, o.counts)
	}
	return nil
}
