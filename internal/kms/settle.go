// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"time"

	"claviger/internal/keys"
)

// What is due is over whether or not it has been swept: a backup holds, and a restore brings, what
// the sweeper would have left at now.

// settleKey makes k what it is at now.
func settleKey(k *keys.Key, now time.Time) {
	if k.State == keys.PendingDeletion && !now.Before(k.DeleteAt) {
		entomb(k, k.DeleteAt)
	}
	if k.State == keys.Deleted || !k.MaterialOver(now) {
		return
	}
	if k.State == keys.PendingDeletion {
		k.Before = keys.PendingImport
	} else {
		k.State = keys.PendingImport
	}
}

// settleVersion makes v, a version of the settled k, what it is at now. It reports whether the
// material stays.
func settleVersion(k *keys.Key, v *keys.Version, now time.Time) (material bool) {
	if v.State == keys.PendingDeletion && !now.Before(v.DeleteAt) {
		entombVersion(v, v.DeleteAt)
	}
	if k.State == keys.Deleted && v.State != keys.Deleted {
		entombVersion(v, k.DeleteAt)
	}
	if v.State == keys.Deleted {
		return false
	}
	if v.State == keys.Enabled && k.MaterialOver(now) {
		v.State, v.Sealed = keys.PendingImport, nil
	}
	return v.State != keys.PendingImport
}

// entomb leaves of a key what its tombstone keeps.
func entomb(k *keys.Key, at time.Time) {
	k.State, k.Before, k.DeleteAt = keys.Deleted, "", at
	k.Tags, k.Description, k.Rotation, k.MaterialExpiresAt = keys.Tags{}, "", keys.Rotation{}, time.Time{}
}

// entombVersion leaves of a version what its tombstone keeps.
func entombVersion(v *keys.Version, at time.Time) {
	v.State, v.Sealed, v.PublicKey, v.Fingerprint = keys.Deleted, nil, nil, nil
	if v.DeleteAt.IsZero() || v.DeleteAt.After(at) {
		v.DeleteAt = at // before its own schedule, with its key
	}
}
