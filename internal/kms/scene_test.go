// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// wish is what most tests ask for.
func wish(spec keys.Spec) kms.NewKey {
	return kms.NewKey{Spec: spec, Usages: spec.Usages(), Origin: keys.Generated, Protection: keys.Software}
}

// as runs f in a call of its own.
func as(t testing.TB, w *kmstest.World, who kmstest.Tenant, f func(*kms.Call) error) error {
	t.Helper()
	c := w.Call(t, who)
	defer c.End()
	return f(c)
}

// must is as for what cannot go wrong.
func must(t testing.TB, w *kmstest.World, f func(*kms.Call) error) {
	t.Helper()
	if err := as(t, w, w.Tenant, f); err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB, w *kmstest.World, req kms.NewKey) *kms.Key {
	t.Helper()
	var k *kms.Key
	must(t, w, func(c *kms.Call) (err error) {
		k, err = w.CreateKey(t.Context(), c, req)
		return err
	})
	return k
}

func rotate(t testing.TB, w *kmstest.World, id keys.ID) *kms.Version {
	t.Helper()
	var v *kms.Version
	must(t, w, func(c *kms.Call) (err error) {
		v, err = w.Rotate(t.Context(), c, kms.KeyRef{ID: id})
		return err
	})
	return v
}

// seen is a key as its tenant's administrator sees it.
func seen(t testing.TB, w *kmstest.World, id keys.ID) *kms.Key {
	t.Helper()
	var k *kms.Key
	must(t, w, func(c *kms.Call) (err error) {
		k, err = w.Key(t.Context(), c, kms.KeyRef{ID: id})
		return err
	})
	return k
}

// version is the version with an ordinal.
func version(t testing.TB, w *kmstest.World, key keys.ID, ordinal int) *kms.Version {
	t.Helper()
	_, all, err := w.FindKey(t.Context(), w.System("test"), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.Ordinal == ordinal {
			return v
		}
	}
	t.Fatalf("the key has no version %d", ordinal)
	return nil
}

// scheduleKey and its likes schedule an erasure for so many days from now.
func scheduleKey(t testing.TB, w *kmstest.World, id keys.ID, days int) {
	t.Helper()
	must(t, w, func(c *kms.Call) error {
		_, err := w.ScheduleKeyDeletion(t.Context(), c, kms.KeyRef{ID: id}, inDays(w, days))
		return err
	})
}

func scheduleVersion(t testing.TB, w *kmstest.World, key, version keys.ID, days int) {
	t.Helper()
	must(t, w, func(c *kms.Call) error {
		_, err := w.ScheduleVersionDeletion(t.Context(), c, kms.KeyRef{ID: key}, kms.VersionRef{ID: version}, inDays(w, days))
		return err
	})
}

func scheduleVault(t testing.TB, w *kmstest.World, id keys.ID, days int) {
	t.Helper()
	must(t, w, func(c *kms.Call) error {
		_, err := w.ScheduleVaultDeletion(t.Context(), c, kms.VaultRef{ID: id}, inDays(w, days))
		return err
	})
}

func inDays(w *kmstest.World, days int) time.Time { return w.Now().Add(time.Duration(days) * keys.Day) }

func advance(t testing.TB, w *kmstest.World, d time.Duration) {
	t.Helper()
	if err := w.Advance(t.Context(), d); err != nil {
		t.Fatalf("advance: %v", err)
	}
}

// newVault makes a vault beside the default one.
func newVault(t testing.TB, w *kmstest.World, name string) keys.ID {
	t.Helper()
	var v *kms.Vault
	must(t, w, func(c *kms.Call) (err error) {
		v, err = w.CreateVault(t.Context(), c, kms.NewVault{Name: name, Kind: keys.SharedVault})
		return err
	})
	return v.ID
}

// member is a principal of the tenant with one role, or none. It is a Tenant for Call's sake.
func member(t testing.TB, w *kmstest.World, of kmstest.Tenant, name string, role identity.Role, vault keys.ID) kmstest.Tenant {
	t.Helper()
	p, err := w.CreatePrincipal(t.Context(), w.System("test"), kms.NewPrincipal{
		Tenant: of.ID, Name: name, Names: keys.Names{"oci": "ocid1.user.." + of.ID.String() + name}, Role: role, Vault: vault,
	})
	if err != nil {
		t.Fatalf("create principal: %v", err)
	}
	of.Principal, of.AccessKey = p.ID, fmt.Sprintf("LTAI-%s-%s", of.ID, name)
	if _, err := w.AddAccessKey(t.Context(), w.System("test"), p.ID, of.AccessKey, secret.New([]byte("hush"))); err != nil {
		t.Fatalf("add access key: %v", err)
	}
	return of
}

// want reports an error that is not of kind; "" is success.
func want(t testing.TB, what string, err error, kind keys.Kind) {
	t.Helper()
	if got := kindOf(err); got != kind {
		t.Errorf("%s: %q (%v), want %q", what, got, err, kind)
	}
}

func kindOf(err error) keys.Kind {
	if err == nil {
		return ""
	}
	return keys.AsError(err).Kind
}

// stored reads from the store behind the service's back.
func stored(t testing.TB, w *kmstest.World, f func(store.Tx) error) {
	t.Helper()
	if err := w.Store.View(context.Background(), f); err != nil {
		t.Fatal(err)
	}
}

// tamper writes to the store behind the service's back, which forgets what it remembers.
func tamper(t testing.TB, w *kmstest.World, f func(store.Tx) error) {
	t.Helper()
	if _, err := w.Store.Update(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	if err := w.Forget(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
}

// events are all that were recorded so far, of changes and of calls.
func events(t testing.TB, w *kmstest.World) []audit.Event {
	t.Helper()
	out := w.Audit.Events()
	stored(t, w, func(tx store.Tx) error {
		rows, err := tx.Events(0, 0)
		for _, row := range rows {
			out = append(out, row.Event)
		}
		return err
	})
	return out
}

// rsaSPKI is a tenant's API signing key.
func rsaSPKI(t testing.TB, of kmstest.Tenant) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(of.RSAKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// jsonOf is how bytes stand in JSON.
func jsonOf(t testing.TB, b []byte) string {
	t.Helper()
	out, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
