// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// TestImportsComeBack backs up a vault with imported keys and its wrapping key. What was wrapped
// before can be imported after, and a key whose material was deleted takes the same again, only.
func TestImportsComeBack(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	vault := newVault(t, w, "imports")
	full, emptied, waiting := newImport(t, w, vault, keys.AES256), newImport(t, w, vault, keys.AES128), newImport(t, w, vault, keys.AES256)
	full.bring(t, w, inDays(w, 20))
	emptied.bring(t, w, inDays(w, 20))
	want(t, "delete material", emptied.drop(t, w), "")
	ciphertext := encrypted(t, w, full.key)
	wrapped := wrapFor(t, w, vault, keys.WrapOAEPSHA256, bytes.Repeat([]byte{8}, 32))
	before := contentOf(t, w, vault)
	whole := backupVault(t, w, vault)

	to := anew(t, w)
	if err := restoreVault(t, to, whole); err != nil {
		t.Fatal(err)
	}
	checked(t, to)
	asBefore(t, before, contentOf(t, to, vault))
	want(t, "decrypt", opens(t, to, full.key, ciphertext), "")
	stateOf(t, to, "a key without material", emptied.key, keys.PendingImport)
	stateOf(t, to, "a key that never had any", waiting.key, keys.PendingImport)
	for _, in := range []*importing{full, emptied} {
		in.renew(t, to)
		want(t, "other material", in.try(t, to, in.other(t, to)), keys.KindMaterial)
		want(t, "the same material", in.try(t, to, nil), "")
	}
	req := wish(keys.AES256)
	req.Vault, req.Origin = vault, keys.Imported
	if _, err := importKey(t, to, req, wrapped); err != nil {
		t.Errorf("what was wrapped under the vault's wrapping key before: %v", err)
	}
	checked(t, to)

	// The wrapping key is the vault's, also where no other key is in the backup.
	alone := anew(t, w, func(cfg *kms.Config) { cfg.HSM = kms.RefuseHSM })
	vaultOnly(t, w, alone, vault)
	old, err1 := wrappingKey(t, w, vault)
	same, err2 := wrappingKey(t, alone, vault)
	if err1 != nil || err2 != nil || !bytes.Equal(old.PublicKey, same.PublicKey) {
		t.Errorf("the wrapping key of a vault that was restored alone is another one: %v, %v", err1, err2)
	}
	if got := same.OfKey.Protection; got != keys.Software {
		t.Errorf("where there are no HSM keys it is one of level %s", got)
	}
	err := as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.WriteKeyBackup(t.Context(), c, kms.KeyRef{ID: keys.WrappingKeyID(vault)}, &bytes.Buffer{}, nil))
	})
	want(t, "a backup of the wrapping key alone", err, keys.KindUnsupported)
}

// renew makes what brings the material for the key where it is now.
func (in *importing) renew(t testing.TB, w *kmstest.World) {
	t.Helper()
	p := parameters(t, w, in.key)
	in.request.Wrapped, in.request.Token = wrapSM2(t, p.PublicKey, in.material), p.Token
}

// TestImportedMaterialThatIsOver backs up and restores imported material before and after its
// time: once that has come the material is in no backup, and no restore brings it.
func TestImportedMaterialThatIsOver(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	vault := newVault(t, w, "imports")
	in, leaving := newImport(t, w, vault, keys.AES256), newImport(t, w, vault, keys.AES256)
	in.bring(t, w, inDays(w, 5))
	leaving.bring(t, w, inDays(w, 5))
	scheduleKey(t, w, leaving.key, 10)
	early := backupVault(t, w, vault)
	w.Clock.Add(6 * keys.Day) // over, and not swept
	late := backupVault(t, w, vault)
	for name, backup := range map[string][]byte{"before its time": early, "after it": late} {
		if with := withMaterial(t, w, backup); (len(with) > 0) != (name == "before its time") {
			t.Errorf("%s: the backup has material of %v", name, with)
		}
		to := anew(t, w)
		if err := restoreVault(t, to, backup); err != nil {
			t.Fatal(err)
		}
		checked(t, to)
		for _, v := range contentOf(t, to, vault).Versions {
			if v.State != keys.PendingImport || v.Sealed != nil {
				t.Errorf("%s: the version is %s, with %d bytes of material", name, v.State, len(v.Sealed))
			}
		}
		stateOf(t, to, name, in.key, keys.PendingImport)
		in.renew(t, to)
		want(t, name+", the same material again", in.try(t, to, nil), "")
		must(t, to, func(c *kms.Call) error {
			return second(to.ChangeKeyState(t.Context(), c, kms.KeyRef{ID: leaving.key}, keys.CancelKeyDeletion))
		})
		stateOf(t, to, name+", cancelled", leaving.key, keys.PendingImport)
		checked(t, to)
	}
}
