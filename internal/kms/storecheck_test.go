// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/seal"
	"claviger/internal/store"
	"claviger/internal/store/check"
)

// furnished is a World with something of everything that a store can hold.
type furnished struct {
	*kmstest.World
	aes, ec, other *kms.Key
	brought, gone  *importing // imported material, and such that was taken away again
	second         *kms.Vault // a vault beside the default one
	erased         keys.ID    // a vault
}

func furnish(t testing.TB, opts ...kmstest.Option) *furnished {
	t.Helper()
	w := kmstest.New(t, append([]kmstest.Option{kmstest.TwoRegions()}, opts...)...)
	f := &furnished{World: w}
	var err error
	must(t, w, func(c *kms.Call) (err error) {
		f.second, err = w.CreateVault(t.Context(), c, kms.NewVault{Name: "second", Kind: keys.SharedVault})
		return err
	})
	replicate(t, w, w.Tenant.Vault)
	f.aes, f.ec = newKey(t, w, wish(keys.AES256)), newKey(t, w, wish(keys.ECP256))
	rotate(t, w, f.aes.ID)
	f.aes = seen(t, w, f.aes.ID)
	theirs := wish(keys.ECP256)
	theirs.Vault = f.second.ID
	f.other = newKey(t, w, theirs)
	must(t, w, func(c *kms.Call) error { return w.CreateAlias(t.Context(), c, "alias/one", kms.KeyRef{ID: f.aes.ID}) })
	if _, err = w.CreateGrant(t.Context(), w.System("test"), f.ec.ID, w.Other.ID, []keys.Action{keys.Sign}); err != nil {
		t.Fatal(err)
	}
	f.brought = newImport(t, w, w.Tenant.Vault, keys.AES256)
	f.brought.bring(t, w, time.Time{})
	f.gone = newImport(t, w, w.Tenant.Vault, keys.AES256)
	f.gone.bring(t, w, time.Time{})
	if err := f.gone.drop(t, w); err != nil {
		t.Fatal(err)
	}
	// A key and a vault of which only tombstones are left, and a key that is still waiting for its end.
	dead := newKey(t, w, wish(keys.AES256))
	must(t, w, func(c *kms.Call) error {
		v, err := w.CreateVault(t.Context(), c, kms.NewVault{Name: "third", Kind: keys.SharedVault})
		if err != nil {
			return err
		}
		f.erased = v.ID
		_, err = w.ScheduleVaultDeletion(t.Context(), c, kms.VaultRef{ID: v.ID}, w.Now().Add(8*keys.Day))
		return err
	})
	must(t, w, func(c *kms.Call) error {
		_, err := w.ScheduleKeyDeletion(t.Context(), c, kms.KeyRef{ID: dead.ID}, w.Now().Add(8*keys.Day))
		return err
	})
	w.Clock.Add(9 * keys.Day)
	if _, err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	late := newKey(t, w, wish(keys.SM4))
	must(t, w, func(c *kms.Call) error {
		_, err := w.ScheduleKeyDeletion(t.Context(), c, kms.KeyRef{ID: late.ID}, w.Now().Add(8*keys.Day))
		return err
	})
	return f
}

func verified(t testing.TB, w *kmstest.World) *kms.StoreReport {
	t.Helper()
	r, err := kms.VerifyStore(t.Context(), kms.VerifyConfig{Store: w.Store, Seal: w.Config.Seal})
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return r
}

// TestVerifyFinds plants one thing wrong at a time, each of which only an opened secret gives away.
func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	version := func(key func(*furnished) keys.ID, change func(v, others *keys.Version)) func(*furnished, store.Tx) error {
		return func(f *furnished, tx store.Tx) error {
			v, err := primary(tx, key(f))
			if err != nil {
				return err
			}
			others, err := primary(tx, f.other.ID)
			if err != nil {
				return err
			}
			change(v, others)
			return tx.Put(v)
		}
	}
	kek := func(owner func(*furnished) keys.ID, change func(*store.KEK)) func(*furnished, store.Tx) error {
		return func(f *furnished, tx store.Tx) error {
			rec := &store.KEK{Owner: owner(f), Generation: 1}
			if err := errors.Join(tx.Load(rec), tx.Delete(rec)); err != nil {
				return err
			}
			change(rec)
			return tx.Put(rec)
		}
	}
	credential := func(kind identity.CredentialKind, change func(*identity.CredentialRow)) func(*furnished, store.Tx) error {
		return func(f *furnished, tx store.Tx) error {
			rows, err := tx.Credentials(f.Tenant.ID)
			if err != nil {
				return err
			}
			for _, row := range rows {
				if row.Kind == kind {
					change(row)
					return tx.Put(row)
				}
			}
			return errors.New("there is no such credential")
		}
	}
	aes, ec := func(f *furnished) keys.ID { return f.aes.ID }, func(f *furnished) keys.ID { return f.ec.ID }
	brought, waiting := func(f *furnished) keys.ID { return f.brought.key }, func(f *furnished) keys.ID { return f.gone.key }
	vault, tenant := func(f *furnished) keys.ID { return f.Tenant.Vault }, func(f *furnished) keys.ID { return f.Tenant.ID }

	for what, c := range map[string]struct {
		plant func(*furnished, store.Tx) error
		says  string
		of    func(*furnished) keys.ID // the record that is named
	}{
		"a byte of material":         {version(aes, func(v, _ *keys.Version) { v.Sealed[30] ^= 1 }), "does not open", aes},
		"material cut off":           {version(aes, func(v, _ *keys.Version) { v.Sealed = v.Sealed[:10] }), "does not open", aes},
		"another's material":         {version(ec, func(v, others *keys.Version) { v.Sealed = others.Sealed }), "does not open", ec},
		"a wrong generation":         {version(aes, func(v, _ *keys.Version) { v.KEKGeneration = 7 }), "generation 7", aes},
		"another's public key":       {version(ec, func(v, others *keys.Version) { v.PublicKey = others.PublicKey }), "does not fit", ec},
		"a public key too many":      {version(aes, func(v, others *keys.Version) { v.PublicKey = others.PublicKey }), "does not fit", aes},
		"a fingerprint's byte":       {version(brought, func(v, _ *keys.Version) { v.Fingerprint[20] ^= 1 }), "fingerprint", brought},
		"a fingerprint of who waits": {version(waiting, func(v, _ *keys.Version) { v.Fingerprint[20] ^= 1 }), "fingerprint", waiting},
		"no fingerprint":             {version(brought, func(v, _ *keys.Version) { v.Fingerprint = nil }), "has no fingerprint", brought},
		"a vault's KEK":              {kek(vault, func(k *store.KEK) { k.Sealed[20] ^= 1 }), "does not open", vault},
		"a tenant's KEK":             {kek(tenant, func(k *store.KEK) { k.Sealed[20] ^= 1 }), "does not open", tenant},
		"no KEK of a vault": {func(f *furnished, tx store.Tx) error {
			return tx.Delete(&store.KEK{Owner: f.second.ID, Generation: 1})
		}, "has no KEK", func(f *furnished) keys.ID { return f.second.ID }},
		"a KEK of an erased vault": {func(f *furnished, tx store.Tx) error {
			return tx.Put(&store.KEK{Owner: f.erased, Generation: 1, Sealed: []byte{1}, CreatedAt: f.Now()})
		}, "deleted and has a KEK", func(f *furnished) keys.ID { return f.erased }},
		"a credential's MAC":    {credential(identity.RSAKey, func(r *identity.CredentialRow) { r.MAC[0] ^= 1 }), "changed by something else", nil},
		"a credential enabled":  {credential(identity.RSAKey, func(r *identity.CredentialRow) { r.Disabled = !r.Disabled }), "changed by something else", nil},
		"a credential's secret": {credential(identity.AccessKey, func(r *identity.CredentialRow) { r.Sealed[20] ^= 1 }), "changed by something else", nil},
		"a compartment of nobody": {func(f *furnished, tx store.Tx) error {
			k, err := store.LoadKey(tx, f.aes.ID)
			if err != nil {
				return err
			}
			k.Compartment = f.other.ID
			return tx.Put(k)
		}, "compartment", nil},
		"an alias of another tenant": {func(f *furnished, tx store.Tx) error {
			return tx.Put(&keys.Alias{Tenant: f.Other.ID, Region: kmstest.Region, Name: "alias/x", Key: f.aes.ID, CreatedAt: f.Now()})
		}, "leads to a key elsewhere", nil},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := furnish(t)
			if r := verified(t, f.World); len(r.Faults) > 0 {
				t.Fatalf("before anything is planted: %v", r.Faults)
			}
			var want keys.ID
			if c.of != nil {
				want = f.named(t, c.of(f))
			}
			if _, err := f.Store.Update(t.Context(), func(tx store.Tx) error { return c.plant(f, tx) }); err != nil {
				t.Fatalf("plant: %v", err)
			}
			r := verified(t, f.World)
			found := slices.ContainsFunc(r.Faults, func(x check.Fault) bool {
				return strings.Contains(x.Text, c.says) && (want.IsZero() || x.ID == want && strings.Contains(x.Text, want.String()))
			})
			if !found {
				t.Errorf("found %v; want something of %q about %s", r.Faults, c.says, want)
			}
		})
	}
}

// primary loads the primary version of a key.
func primary(tx store.Tx, key keys.ID) (*keys.Version, error) {
	k, err := store.LoadKey(tx, key)
	if err != nil {
		return nil, err
	}
	return store.LoadVersion(tx, k.Primary)
}

// named is the record that a fault of something in a key names: its version; of other things themselves.
func (f *furnished) named(t testing.TB, id keys.ID) (out keys.ID) {
	t.Helper()
	err := f.Store.View(t.Context(), func(tx store.Tx) error {
		v, err := primary(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			out = id
			return nil
		}
		if err == nil {
			out = v.ID
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestVerifyOpensEverything counts what was opened, and refuses another root key, an empty store and
// an end of patience.
func TestVerifyOpensEverything(t *testing.T) {
	t.Parallel()
	f := furnish(t)
	stages := map[check.Stage]int{}
	r, err := kms.VerifyStore(t.Context(), kms.VerifyConfig{Store: f.Store, Seal: f.Config.Seal, Progress: func(s check.Stage, done, total int) {
		if done < stages[s] || done > total {
			t.Errorf("%s: %d of %d after %d", s, done, total, stages[s])
		}
		stages[s] = done
	}})
	if err != nil || len(r.Faults) > 0 || r.Ended {
		t.Fatalf("verify: %v, %v", r.Faults, err)
	}
	if len(stages) != 4 {
		t.Errorf("the stages are %v", stages)
	}
	// aes twice, ec, other, brought, late, and two credentials of each of two tenants.
	if r.Opened != 6+4 {
		t.Errorf("opened %d secrets", r.Opened)
	}
	if r.Records[keys.TypeVault] != 6 || r.Records[keys.TypeVersion] != 8 || r.Head.Events == 0 || r.Changes == 0 {
		t.Errorf("read %v, %d changes", r.Records, r.Changes)
	}
	other, err := seal.NewMemory(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kms.VerifyStore(t.Context(), kms.VerifyConfig{Store: f.Store, Seal: other}); err == nil || !strings.Contains(err.Error(), "root key") {
		t.Errorf("with another root key: %v", err)
	}
}
