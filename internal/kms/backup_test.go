// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// anew is a world with the same root key and nothing else: another machine, an empty database.
// Its tenants are made anew and have other ids than the ones they replace.
func anew(t testing.TB, w *kmstest.World, change ...func(*kms.Config)) *kmstest.World {
	t.Helper()
	options := []kmstest.Option{kmstest.With(func(cfg *kms.Config) { cfg.Seal, cfg.Backup = w.Config.Seal, w.Config.Backup })}
	for _, c := range change {
		options = append(options, kmstest.With(c))
	}
	out := kmstest.New(t, options...)
	out.Clock.Add(w.Now().Sub(out.Now()))
	return out
}

// backupVault is a vault's backup with its keys.
func backupVault(t testing.TB, w *kmstest.World, vault keys.ID) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, w, func(c *kms.Call) error {
		return second(w.WriteVaultBackup(t.Context(), c, kms.VaultRef{ID: vault}, true, &b, nil))
	})
	return b.Bytes()
}

func backupKey(t testing.TB, w *kmstest.World, key keys.ID) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, w, func(c *kms.Call) error {
		return second(w.WriteKeyBackup(t.Context(), c, kms.KeyRef{ID: key}, &b, nil))
	})
	return b.Bytes()
}

func restoreVault(t testing.TB, w *kmstest.World, backup []byte) error {
	t.Helper()
	return as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.RestoreVaultBackup(t.Context(), c, "", bytes.NewReader(backup), nil))
	})
}

func restoreKey(t testing.TB, w *kmstest.World, backup []byte) error {
	t.Helper()
	return as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.RestoreKeyBackup(t.Context(), c, bytes.NewReader(backup), nil))
	})
}

// lose takes a key's rows away behind the service's back, as if they had never been.
func lose(t testing.TB, w *kmstest.World, key keys.ID) {
	t.Helper()
	tamper(t, w, func(tx store.Tx) error {
		rows, err := tx.Versions(store.VersionQuery{Key: key})
		for _, v := range rows {
			err = errors.Join(err, tx.Delete(v))
		}
		return errors.Join(err, tx.Delete(&keys.Key{ID: key}))
	})
}

// content is all that a vault holds, as stored.
type content struct {
	Vault    keys.Vault
	Keys     []*keys.Key
	Aliases  []*keys.Alias
	External []*store.ExternalID
	Versions []*keys.Version
}

func contentOf(t testing.TB, w *kmstest.World, vault keys.ID) content {
	t.Helper()
	out := content{Vault: keys.Vault{ID: vault}}
	stored(t, w, func(tx store.Tx) error {
		if err := tx.Load(&out.Vault); err != nil {
			return err
		}
		var err error
		if out.Keys, err = tx.Keys(store.KeyQuery{Vault: vault, WithHidden: true}); err != nil {
			return err
		}
		if out.External, err = tx.ExternalIDs(vault); err != nil {
			return err
		}
		for _, k := range out.Keys {
			aliases, err := tx.Aliases(store.AliasQuery{Key: k.ID})
			if err != nil {
				return err
			}
			external, err := tx.ExternalIDs(k.ID)
			if err != nil {
				return err
			}
			versions, err := tx.Versions(store.VersionQuery{Key: k.ID})
			if err != nil {
				return err
			}
			out.Aliases, out.External = append(out.Aliases, aliases...), append(out.External, external...)
			out.Versions = append(out.Versions, versions...)
			for _, v := range versions {
				external, err := tx.ExternalIDs(v.ID)
				if err != nil {
					return err
				}
				out.External = append(out.External, external...)
			}
		}
		return nil
	})
	return out
}

// asBefore compares what was backed up with what was restored, but for what a restore makes anew.
func asBefore(t testing.TB, before, after content) {
	t.Helper()
	anew := func(p cmp.Path) bool {
		switch p.Last().String() {
		case ".Tenant", ".Compartment", ".Revision", ".Sealed", ".Fingerprint", ".Restored", ".Default", ".KEKGeneration":
			return true
		}
		return false
	}
	if diff := cmp.Diff(before, after, cmp.FilterPath(anew, cmp.Ignore()), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("what was restored is not what was backed up (-backup +restored):\n%s", diff)
	}
	for _, v := range after.Versions {
		if (v.Sealed == nil) != (v.State == keys.Deleted || v.State == keys.PendingImport) || v.Restored.From != v.ID || v.Restored.At.IsZero() {
			t.Errorf("version %d of %s: state %s, %d bytes of material, restored from %s at %s", v.Ordinal, v.Key, v.State, len(v.Sealed), v.Restored.From, v.Restored.At)
		}
	}
	for _, k := range after.Keys {
		if k.Restored.From != k.ID || k.Restored.At.IsZero() {
			t.Errorf("key %s: restored from %s at %s", k.ID, k.Restored.From, k.Restored.At)
		}
	}
}

func checked(t testing.TB, w *kmstest.World) {
	t.Helper()
	if err := storetest.Check(t.Context(), w.Store); err != nil {
		t.Errorf("the store breaks invariants: %v", err)
	}
}

// TestVaultComesBack backs a vault up, with a key in each state, and restores it on another
// machine with the same root key.
func TestVaultComesBack(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	before := contentOf(t, w, life.vault)
	backup := backupVault(t, w, life.vault)

	to := anew(t, w)
	if err := restoreVault(t, to, backup); err != nil {
		t.Fatal(err)
	}
	checked(t, to)
	after := contentOf(t, to, life.vault)
	asBefore(t, before, after)
	if after.Vault.Restored.From != life.vault || !after.Vault.Restored.At.Equal(to.Now()) || after.Vault.Tenant != to.Tenant.ID {
		t.Errorf("the vault: %+v", after.Vault)
	}
	life.opens(t, to)
	want(t, "a second restore", restoreVault(t, to, backup), keys.KindExists)
	checked(t, to)

	// What was scheduled goes on as it was: erased, rotated, on the old grid.
	for _, at := range []*kmstest.World{w, to} {
		advance(t, at, 40*keys.Day)
		if _, err := at.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		checked(t, at)
	}
	states := func(c content) map[keys.ID]string {
		out := map[keys.ID]string{}
		for _, k := range c.Keys {
			out[k.ID] = string(k.State) + " " + k.Rotation.Next.String()
		}
		return out
	}
	if diff := cmp.Diff(states(contentOf(t, w, life.vault)), states(contentOf(t, to, life.vault))); diff != "" {
		t.Errorf("after 40 days (-original +restored):\n%s", diff)
	}
}

// life is a vault with a key in each state, and ciphertexts of before.
type life struct {
	vault                  keys.ID
	aes, rsa, disabled     keys.ID
	pending, rotating      keys.ID
	ciphertexts, plaintext [][]byte
}

func newLife(t testing.TB, w *kmstest.World) *life {
	t.Helper()
	l := &life{vault: newVault(t, w, "precious")}
	tags := keys.Tags{Plain: map[string]string{"a": "b"}, Namespaced: map[string]map[string]string{"n": {"c": "<d>&\u2028"}}}
	must(t, w, func(c *kms.Call) error {
		return second(w.UpdateVault(t.Context(), c, kms.VaultRef{ID: l.vault}, kms.VaultUpdate{Plain: &tags.Plain, Namespaced: &tags.Namespaced}))
	})
	add := func(spec keys.Spec, change func(*kms.NewKey)) keys.ID {
		req := wish(spec)
		req.Vault, req.Name, req.Description, req.Tags = l.vault, "a "+string(spec), "text", tags
		if change != nil {
			change(&req)
		}
		return newKey(t, w, req).ID
	}
	l.aes = add(keys.AES256, nil)
	l.seal(t, w)
	gone := version(t, w, l.aes, 1).ID
	rotate(t, w, l.aes)
	l.seal(t, w)
	leaving := version(t, w, l.aes, 2).ID
	rotate(t, w, l.aes)
	scheduleVersion(t, w, l.aes, gone, 7)
	advance(t, w, 8*keys.Day)
	scheduleVersion(t, w, l.aes, leaving, 20)
	l.ciphertexts, l.plaintext = nil, nil
	l.seal(t, w)
	rotate(t, w, l.aes)
	l.seal(t, w)
	l.rsa = add(keys.RSA2048, func(k *kms.NewKey) { k.Protection = keys.HSM })
	l.disabled = add(keys.ECP256, nil)
	l.pending = add(keys.AES128, nil)
	l.rotating = add(keys.AES256, func(k *kms.NewKey) { k.Rotation = &kms.RotationPolicy{Enabled: true, Interval: 30 * keys.Day} })
	erased := add(keys.AES256, nil)
	must(t, w, func(c *kms.Call) error {
		_, err := w.ChangeKeyState(t.Context(), c, kms.KeyRef{ID: l.disabled}, keys.DisableKey)
		return err
	})
	must(t, w, func(c *kms.Call) error { return w.CreateAlias(t.Context(), c, "alias/life", kms.KeyRef{ID: l.rsa}) })
	scheduleKey(t, w, erased, 7)
	advance(t, w, 7*keys.Day+time.Hour)
	scheduleKey(t, w, l.pending, 15)
	for kind, id := range map[keys.Type]keys.ID{keys.TypeKey: l.rsa, keys.TypeVault: l.vault, keys.TypeVersion: version(t, w, l.rsa, 1).ID} {
		err := w.AddExternalID(t.Context(), w.System("test"), store.ExternalID{
			Dialect: "test", Type: kind, Tenant: w.Tenant.ID, Region: kmstest.Region, Name: "carried over " + string(kind), ID: id,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// seal encrypts something under the primary version of the vault's AES key.
func (l *life) seal(t testing.TB, w *kmstest.World) {
	t.Helper()
	must(t, w, func(c *kms.Call) error {
		plaintext := []byte{byte(len(l.plaintext))}
		out, err := w.Encrypt(t.Context(), c, kms.EncryptRequest{Key: kms.KeyRef{ID: l.aes}, Plaintext: plaintext})
		if err == nil {
			l.ciphertexts, l.plaintext = append(l.ciphertexts, out.Ciphertext), append(l.plaintext, plaintext)
		}
		return err
	})
}

// opens decrypts what was encrypted before the backup.
func (l *life) opens(t testing.TB, w *kmstest.World) {
	t.Helper()
	for i, ciphertext := range l.ciphertexts {
		must(t, w, func(c *kms.Call) error {
			out, err := w.Decrypt(t.Context(), c, kms.DecryptRequest{Ciphertext: ciphertext})
			if err == nil && !bytes.Equal(out.Plaintext, l.plaintext[i]) {
				t.Errorf("ciphertext %d opens as %x", i, out.Plaintext)
			}
			return err
		})
	}
}

// TestKeyComesBack loses a vault's keys and brings one of them back.
func TestKeyComesBack(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	whole := backupVault(t, w, life.vault)
	backup := backupKey(t, w, life.aes)

	to := anew(t, w)
	want(t, "a key without its vault", restoreKey(t, to, backup), keys.KindNotFound)
	var alone bytes.Buffer
	must(t, w, func(c *kms.Call) error {
		m, err := w.WriteVaultBackup(t.Context(), c, kms.VaultRef{ID: life.vault}, false, &alone, nil)
		if err == nil && (m.WithKeys || m.Counts.Vaults != 1 || m.Counts.Keys != 0) {
			t.Errorf("the backup of a vault alone says %+v", m)
		}
		return err
	})
	if err := restoreVault(t, to, alone.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := restoreKey(t, to, backup); err != nil {
		t.Fatal(err)
	}
	checked(t, to)
	before, after := contentOf(t, w, life.vault), contentOf(t, to, life.vault)
	before.Keys, before.Aliases = before.Keys[:1], nil
	before.Versions, before.External = before.Versions[:after.Keys[0].Versions], before.External[:len(after.External)]
	asBefore(t, before, after)
	life.opens(t, to)
	want(t, "a second restore", restoreKey(t, to, backup), keys.KindExists)
	want(t, "a vault that exists", restoreVault(t, to, whole), keys.KindExists)
	want(t, "a vault where a key should be", restoreKey(t, to, whole), keys.KindInvalid)
	want(t, "a key where a vault should be", restoreVault(t, to, backup), keys.KindInvalid)
}
