// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"claviger/internal/audit"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// TestRestoreWhereItBelongs restores for another tenant, in another region, at another endpoint.
func TestRestoreWhereItBelongs(t *testing.T) {
	t.Parallel()
	two := func(cfg *kms.Config) { cfg.Regions = append(cfg.Regions, "abroad") }
	w := kmstest.New(t, kmstest.With(two))
	life := newLifeOf(t, w)
	whole, backup := backupVault(t, w, life.vault), backupKey(t, w, life.aes)
	to := anew(t, w, two)
	vault := func(c *kms.Call) error {
		return second(to.RestoreVaultBackup(t.Context(), c, "", bytes.NewReader(whole), nil))
	}
	key := func(c *kms.Call) error {
		return second(to.RestoreKeyBackup(t.Context(), c, bytes.NewReader(backup), nil))
	}
	want(t, "a vault of another tenant", as(t, to, to.Other, vault), keys.KindInvalid)
	want(t, "a vault in another region", as(t, to, to.Tenant, func(c *kms.Call) error {
		c.Region = "abroad"
		return vault(c)
	}), keys.KindInvalid)
	away := anew(t, w, func(cfg *kms.Config) { cfg.Regions = []keys.Region{"away"} })
	want(t, "a vault of a region that is not served", second(away.RestoreVaultBackup(
		t.Context(), away.System("test"), "", bytes.NewReader(whole), nil)), keys.KindInvalid)
	want(t, "into no compartment", as(t, to, to.Tenant, func(c *kms.Call) error {
		return second(to.RestoreVaultBackup(t.Context(), c, "nowhere", bytes.NewReader(whole), nil))
	}), keys.KindRelatedNotFound)
	if err := vault(to.System("test")); err != nil {
		t.Fatalf("by the server itself: %v", err)
	}
	lose(t, to, life.aes)
	want(t, "a key of another tenant", as(t, to, to.Other, key), keys.KindNotFound)
	want(t, "a key in another region", as(t, to, to.Tenant, func(c *kms.Call) error {
		c.Region = "abroad"
		return key(c)
	}), keys.KindNotFound)
	want(t, "a key at another vault's endpoint", as(t, to, to.Tenant, func(c *kms.Call) error {
		c.Vault = to.Tenant.Vault
		return key(c)
	}), keys.KindNotFound)
	must(t, to, func(c *kms.Call) error {
		c.Vault = life.vault
		return key(c)
	})
	checked(t, to)
}

// TestCompartments restores into compartments of the same id or name, and where there is none
// into the vault's.
func TestCompartments(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	compartment := func(w *kmstest.World, name string) *keys.Compartment {
		c, err := w.CreateCompartment(t.Context(), w.System("test"), kms.NewCompartment{Tenant: w.Tenant.ID, Name: name, Names: keys.Names{"test": name}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	vault := newVault(t, w, "precious")
	keyIn := func(name string) keys.ID {
		req := wish(keys.AES256)
		req.Vault, req.Compartment = vault, name
		return newKey(t, w, req).ID
	}
	compartment(w, "known")
	compartment(w, "unknown")
	compartment(w, "empty")
	known, unknown, root := keyIn("known"), keyIn("unknown"), keyIn("")
	backup := backupVault(t, w, vault)
	to := anew(t, w)
	here, into := compartment(to, "known"), compartment(to, "target")
	must(t, to, func(c *kms.Call) error {
		return second(to.RestoreVaultBackup(t.Context(), c, "target", bytes.NewReader(backup), nil))
	})
	after := contentOf(t, to, vault)
	if after.Vault.Compartment != into.ID {
		t.Errorf("the vault is in %s, want %s", after.Vault.Compartment, into.ID)
	}
	for _, k := range after.Keys {
		if want := map[keys.ID]keys.ID{known: here.ID, unknown: into.ID, root: to.Tenant.ID}[k.ID]; k.Compartment != want {
			t.Errorf("key %s is in %s, want %s", k.ID, k.Compartment, want)
		}
	}
	checked(t, to)
}

// TestTheDefaultVaultComesBack restores a tenant's default vault: it is that again where there is
// no other.
func TestTheDefaultVaultComesBack(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	backup := backupVault(t, w, w.Tenant.Vault)
	for name, lost := range map[string]bool{"beside another": false, "alone": true} {
		to := anew(t, w)
		if lost {
			tamper(t, to, func(tx store.Tx) error {
				return errors.Join(tx.Delete(&store.KEK{Owner: to.Tenant.Vault, Generation: 1}), tx.Delete(&keys.Vault{ID: to.Tenant.Vault}))
			})
		}
		if err := restoreVault(t, to, backup); err != nil {
			t.Fatal(err)
		}
		checked(t, to)
		if got := contentOf(t, to, w.Tenant.Vault).Vault.Default; got != lost {
			t.Errorf("%s, the restored vault is the default: %t", name, got)
		}
	}
}

// TestTakenNames restores where an alias leads elsewhere by now, which it goes on doing, and
// where an external id does, which refuses the restore.
func TestTakenNames(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	backup := backupVault(t, w, life.vault)
	to := anew(t, w)
	other := newAES(t, to)
	must(t, to, func(c *kms.Call) error { return to.CreateAlias(t.Context(), c, "alias/life", kms.KeyRef{ID: other.ID}) })
	taken := store.ExternalID{
		Dialect: "test", Type: keys.TypeKey, Tenant: to.Tenant.ID, Region: kmstest.Region, Name: "carried over key", ID: other.ID,
	}
	if err := to.AddExternalID(t.Context(), to.System("test"), taken); err != nil {
		t.Fatal(err)
	}
	to.StageRows(3)
	want(t, "an external id that is taken", restoreVault(t, to, backup), keys.KindExists)
	checked(t, to)
	gone(t, to, life.vault)
	tamper(t, to, func(tx store.Tx) error { return tx.Delete(&taken) })
	if err := restoreVault(t, to, backup); err != nil {
		t.Fatal(err)
	}
	checked(t, to)
	must(t, to, func(c *kms.Call) error {
		k, err := to.Key(t.Context(), c, kms.KeyRef{Alias: "alias/life"})
		if err == nil && k.ID != other.ID {
			t.Error("the alias leads to the restored key")
		}
		return err
	})
	told := false
	for _, ev := range events(t, to) {
		if ev.Action == keys.RestoreVaultBackup && ev.Outcome == audit.OutcomeOK {
			told = ev.Vault == life.vault && ev.Tenant == to.Tenant.ID && strings.Contains(ev.Reason, "alias/life")
		}
	}
	if !told {
		t.Error("no event tells of the restore and of the alias that it left")
	}
}

// gone checks that nothing of a vault is there.
func gone(t testing.TB, w *kmstest.World, vault keys.ID) {
	t.Helper()
	stored(t, w, func(tx store.Tx) error {
		if err := tx.Load(&keys.Vault{ID: vault}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the vault is there: %v", err)
		}
		if err := tx.Load(&store.KEK{Owner: vault}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the vault's KEK is there: %v", err)
		}
		left, err := tx.Keys(store.KeyQuery{Vault: vault, WithHidden: true})
		if len(left) > 0 {
			t.Errorf("%d of its keys are there", len(left))
		}
		return err
	})
}

// TestRestoreQuotas restores where there is room for less.
func TestRestoreQuotas(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	whole, backup := backupVault(t, w, life.vault), backupKey(t, w, life.aes)
	to := anew(t, w)
	with := func(change func(*keys.Profile), restore func(c *kms.Call) error) error {
		return as(t, to, to.Tenant, func(c *kms.Call) error {
			p := kmstest.Profile
			change(&p)
			c.Profile = &p
			return restore(c)
		})
	}
	vault := func(c *kms.Call) error {
		return second(to.RestoreVaultBackup(t.Context(), c, "", bytes.NewReader(whole), nil))
	}
	for noun, change := range map[keys.Type]func(*keys.Profile){
		keys.TypeVault: func(p *keys.Profile) { p.VaultsPerRegion = 1 },
		keys.TypeKey:   func(p *keys.Profile) { p.KeysPerRegion = 4 },
	} {
		err := with(change, vault)
		want(t, "too many of "+string(noun), err, keys.KindLimit)
		if got := keys.AsError(err).Noun; got != noun {
			t.Errorf("the limit is on %s, want %s", got, noun)
		}
		gone(t, to, life.vault)
		checked(t, to)
	}
	enough := func(p *keys.Profile) { p.VaultsPerRegion, p.KeysPerRegion, p.AliasesPerRegion = 2, 5, 1 }
	if err := with(enough, vault); err != nil {
		t.Fatalf("as many as there may be: %v", err)
	}
	lose(t, to, life.aes)
	key := func(c *kms.Call) error {
		return second(to.RestoreKeyBackup(t.Context(), c, bytes.NewReader(backup), nil))
	}
	want(t, "one key too many", with(func(p *keys.Profile) { p.KeysPerRegion = 4 }, key), keys.KindLimit)
	if err := with(enough, key); err != nil {
		t.Errorf("one key more: %v", err)
	}
	checked(t, to)
}
