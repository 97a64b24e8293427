// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// etag is a resource's entity tag: 40 hex digits that change with its record and with its
// effective state.
func etag(id keys.ID, revision int64, state keys.State) string {
	var b [24]byte
	copy(b[:], id[:])
	binary.BigEndian.PutUint64(b[16:], uint64(revision)) //nolint:gosec // only mixed into a hash
	sum := sha256.Sum256(append(b[:], state...))
	return hex.EncodeToString(sum[:20])
}

func viewVault(v *keys.Vault, now time.Time) *Vault {
	state := v.Effective(now)
	out := &Vault{Vault: *v, State: state, ETag: etag(v.ID, v.Revision, state)}
	if state == keys.Restoring {
		out.DeleteAt = time.Time{} // until when its restore may take: no deletion
	}
	return out
}

// viewKey shows a key in its vault. A hidden one lies wherever its vault does.
func viewKey(k *keys.Key, v *keys.Vault, now time.Time) *Key {
	state := k.Effective(v, now)
	out := &Key{
		Key: *k, InVault: *v, State: state, DeleteAt: k.EffectiveDeleteAt(v),
		ETag: etag(k.ID, k.Revision, state),
	}
	if k.Hidden {
		out.Compartment = v.Compartment
	}
	return out
}

// view shows a located key as the call sees it.
func (at *located) view(now time.Time) *Key {
	k := viewKey(at.key, at.vault, now)
	k.Through = at.replica
	return k
}

// viewVersion shows a version without its material. An erased key's versions are erased; when a
// key's material is over, so is the version's.
func viewVersion(v *keys.Version, k *Key, now time.Time) *Version {
	state := v.Effective(now)
	switch {
	case k.State == keys.Deleted:
		state = keys.Deleted
	case state == keys.Enabled && k.MaterialOver(now):
		state = keys.PendingImport
	}
	out := &Version{Version: *v, OfKey: *k, State: state, ETag: etag(v.ID, v.Revision, state)}
	out.Sealed, out.Fingerprint = nil, nil
	return out
}

func loadKeyView(tx store.Tx, id keys.ID, now time.Time) (*Key, error) {
	k, err := store.LoadKey(tx, id)
	if err != nil {
		return nil, err
	}
	v, err := store.LoadVault(tx, k.Vault)
	if err != nil {
		return nil, err
	}
	return viewKey(k, v, now), nil
}

func (v *Vault) identity() (keys.Type, keys.ID)   { return keys.TypeVault, v.ID }
func (k *Key) identity() (keys.Type, keys.ID)     { return keys.TypeKey, k.ID }
func (v *Version) identity() (keys.Type, keys.ID) { return keys.TypeVersion, v.ID }

func (v *Vault) records() records { return records{Vault: &v.Vault} }
func (k *Key) records() records   { return records{Vault: &k.InVault, Key: &k.Key} }
func (v *Version) records() records {
	return records{Vault: &v.OfKey.InVault, Key: &v.OfKey.Key, Version: &v.Version}
}
