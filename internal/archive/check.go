// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"claviger/internal/keys"
)

// What no release would have written is refused. Recipients are public, so whoever reads an
// archive that is encrypted to them may be reading a stranger's.

func (m *Manifest) check() error {
	if m.Kind == KindStore {
		return m.checkStore()
	}
	ofKey := m.Kind == KindKey && m.Key != nil && m.Counts.Vaults == 0 && m.Counts.Keys == 1
	ofVault := m.Kind == KindVault && m.Key == nil && m.Counts.Vaults == 1
	switch {
	case !ofKey && !ofVault, m.Vault == nil, len(m.Tenants) != 1, m.Region == "", m.ID.IsZero(), m.Revision < 0,
		m.Counts.Keys < 0, m.Counts.Versions < 0, !isTime(m.CreatedAt):
		return damaged("its manifest contradicts itself")
	}
	return nil
}

func (m *Manifest) checkStore() error {
	switch {
	case m.Vault != nil, m.Key != nil, len(m.Tenants) != 0, m.Region != "", !m.WithKeys, m.ID.IsZero(), m.Revision < 0,
		m.Counts.Vaults < 0, m.Counts.Keys < 0, m.Counts.Versions < 0, !isTime(m.CreatedAt):
		return damaged("its manifest contradicts itself")
	}
	return nil
}

// isTime reports whether t is a time as records have it.
func isTime(t time.Time) bool {
	return t.Location() == time.UTC && t.Equal(t.Truncate(time.Microsecond)) && t.Year() >= 1970 && t.Year() <= 9999
}

func optionalTime(t time.Time) bool { return t.IsZero() || isTime(t) }

// isScheduled reports whether a state and a time of deletion go together.
func isScheduled(s keys.State, at time.Time) bool {
	if s == keys.PendingDeletion || s == keys.Deleted {
		return isTime(at)
	}
	return at.IsZero()
}

func noTags(t keys.Tags) bool { return len(t.Plain) == 0 && len(t.Namespaced) == 0 }

var (
	errVault   = errors.New("a vault is not as any vault is")
	errKey     = errors.New("a key is not as any key is")
	errVersion = errors.New("a key version is not as any version is")
	errNamed   = errors.New("a tenant, compartment, alias or external id is not as any is")
)

func checkNamed(id keys.ID, name string, createdAt time.Time) error {
	if id.IsZero() || name == "" || !isTime(createdAt) {
		return errNamed
	}
	return nil
}

func checkVault(v *keys.Vault) error {
	states := []keys.State{keys.Active, keys.PendingDeletion, keys.Deleted}
	switch {
	case v.ID.IsZero(), v.Compartment.IsZero(), v.Region == "",
		v.Kind != keys.SharedVault && v.Kind != keys.PrivateVault,
		!slices.Contains(states, v.State), !isScheduled(v.State, v.DeleteAt), !isTime(v.CreatedAt),
		v.State == keys.Deleted && !noTags(v.Tags):
		return errVault
	}
	return nil
}

func checkKey(k *keys.Key) error {
	before := []keys.State{keys.PendingImport, keys.Enabled, keys.Disabled}
	states := append([]keys.State{keys.PendingDeletion, keys.Deleted}, before...)
	r := &k.Rotation
	switch {
	case !k.Spec.Valid():
		return fmt.Errorf("a key has the spec %q, which this release does not know", string(k.Spec))
	case k.ID.IsZero(), k.Vault.IsZero(), k.Compartment.IsZero(),
		k.Usages == 0 || !k.Spec.Usages().Has(k.Usages),
		!slices.Contains([]keys.Origin{keys.Generated, keys.Imported, keys.External}, k.Origin),
		k.Protection != keys.Software && k.Protection != keys.HSM:
		return errKey
	case !slices.Contains(states, k.State), !isScheduled(k.State, k.DeleteAt),
		(k.State == keys.PendingDeletion) != slices.Contains(before, k.Before), k.State != keys.PendingDeletion && k.Before != "",
		k.State == keys.Deleted && (!noTags(k.Tags) || k.Description != "" || *r != (keys.Rotation{})):
		return errKey
	case k.Versions < 0, r.Interval < 0, r.Interval > 100_000*keys.Day,
		!isTime(k.CreatedAt), !optionalTime(k.LastVersionAt), !optionalTime(r.Start), !optionalTime(r.Next), !optionalTime(r.Last),
		!optionalTime(k.MaterialExpiresAt):
		return errKey
	}
	return nil
}

func checkVersion(r *Record) error {
	v, material, marked := r.Version, r.Material.Len() > 0, r.Fingerprint.Len() > 0
	states := []keys.State{keys.PendingImport, keys.Enabled, keys.PendingDeletion, keys.Deleted}
	switch {
	case v.ID.IsZero(), !slices.Contains(states, v.State), !isScheduled(v.State, v.DeleteAt), !isTime(v.CreatedAt),
		!slices.Contains([]keys.Origin{keys.Generated, keys.Imported, keys.External}, v.Origin):
		return errVersion
	case v.State == keys.Deleted && (material || marked || len(v.PublicKey) > 0),
		v.State == keys.PendingImport && (material || !marked),
		(v.State == keys.Enabled || v.State == keys.PendingDeletion) && (!material || marked != (v.Origin == keys.Imported)):
		return errVersion
	}
	return nil
}
