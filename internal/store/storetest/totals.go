// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// testCounters follows the totals through creation, erasure, deletion and moves, also within
// a transaction and through one that is undone.
func testCounters(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	k, aes := b.Key(b.vault), b.Key(b.vault)
	aes.Spec = keys.AES256
	distant := b.Vault(b.tenant)
	distant.Region = away
	far := b.Key(distant)
	v1, v2, v3, v4 := b.Version(k), b.Version(k), b.Version(aes), b.Version(far)
	a1, a2 := b.Alias(k), b.Alias(k)
	tenant := b.tenant.ID
	in := func(tx store.Tx, c store.Counter, want int) error {
		got, err := tx.Count(c)
		if got != want {
			t.Errorf("total of %+v is %d, want %d", c, got, want)
		}
		return err
	}
	count := func(tx store.Tx, vaults, rsa, allKeys, rsaVersions, versions, aliases, ofKey int) error {
		return errors.Join(
			in(tx, store.Counter{Type: keys.TypeVault, Tenant: tenant, Region: home}, vaults),
			in(tx, store.Counter{Type: keys.TypeKey, Tenant: tenant, Region: home, Specs: []keys.Spec{keys.RSA2048}}, rsa),
			in(tx, store.Counter{Type: keys.TypeKey, Tenant: tenant, Region: home}, allKeys),
			in(tx, store.Counter{Type: keys.TypeVersion, Tenant: tenant, Region: home, Specs: []keys.Spec{keys.RSA2048, keys.RSA4096}}, rsaVersions),
			in(tx, store.Counter{Type: keys.TypeVersion, Tenant: tenant, Region: home}, versions),
			in(tx, store.Counter{Type: keys.TypeAlias, Tenant: tenant, Region: home}, aliases),
			in(tx, store.Counter{Type: keys.TypeAlias, Key: k.ID}, ofKey),
		)
	}
	step := func(fn func(store.Tx) error, vaults, rsa, allKeys, rsaVersions, versions, aliases, ofKey int) {
		t.Helper()
		update(t, s, func(tx store.Tx) error {
			return errors.Join(fn(tx), count(tx, vaults, rsa, allKeys, rsaVersions, versions, aliases, ofKey))
		})
		view(t, s, func(tx store.Tx) error { return count(tx, vaults, rsa, allKeys, rsaVersions, versions, aliases, ofKey) })
	}
	step(func(tx store.Tx) error { return nil }, 1, 0, 0, 0, 0, 0, 0)
	step(func(tx store.Tx) error { return putAll(tx, distant, k, aes, far, v1, v2, v3, v4, a1, a2) }, 1, 1, 2, 2, 3, 2, 2)
	view(t, s, func(tx store.Tx) error {
		return in(tx, store.Counter{Type: keys.TypeKey, Tenant: tenant}, 3)
	})
	_ = refused(t, s, "an undone erasure", func(tx store.Tx) error {
		x, y := *v1, *k
		erase(&y, &x, b.Time())
		return errors.Join(putAll(tx, &x, &y), count(tx, 1, 1, 2, 1, 2, 2, 2), errors.New("undo"))
	})
	step(func(tx store.Tx) error { erase(k, v1, b.Time()); return putAll(tx, v1, k, v1) }, 1, 1, 2, 1, 2, 2, 2)
	step(func(tx store.Tx) error { a1.Key = aes.ID; return tx.Put(a1) }, 1, 1, 2, 1, 2, 2, 1)
	step(func(tx store.Tx) error { return errors.Join(tx.Delete(a1), tx.Delete(a1)) }, 1, 1, 2, 1, 2, 1, 1)
	step(func(tx store.Tx) error {
		k.State, k.DeleteAt = keys.PendingDeletion, b.Time()
		return tx.Put(k)
	}, 1, 1, 2, 1, 2, 1, 1)
	step(func(tx store.Tx) error {
		k.State = keys.Deleted
		return errors.Join(tx.Delete(a2), tx.Put(k))
	}, 1, 0, 1, 1, 2, 0, 0)
	step(func(tx store.Tx) error { erase(k, v2, b.Time()); return putAll(tx, v2, k) }, 1, 0, 1, 0, 1, 0, 0)
	step(func(tx store.Tx) error { // tombstones are not counted twice
		return errors.Join(tx.Delete(v2), tx.Delete(v1), tx.Delete(k))
	}, 1, 0, 1, 0, 1, 0, 0)
	step(func(tx store.Tx) error { return errors.Join(tx.Delete(v3), tx.Delete(aes)) }, 1, 0, 0, 0, 0, 0, 0)
}

// testVaultCounters follows the totals of a vault by protection: other vaults, hidden keys and
// what is erased do not count.
func testVaultCounters(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	soft, hard, hidden, other := b.Key(b.vault), b.Key(b.vault), b.Hidden(b.vault), b.Vault(b.tenant)
	hard.Protection, hard.Spec = keys.HSM, keys.AES256
	elsewhere := b.Key(other)
	v1, v2, v3 := b.Version(soft), b.Version(hard), b.Version(hard)
	count := func(of keys.Type, vault keys.ID, protection keys.Protection, specs ...keys.Spec) (n int) {
		t.Helper()
		view(t, s, func(tx store.Tx) (err error) {
			n, err = tx.Count(store.Counter{Type: of, Vault: vault, Protection: protection, Specs: specs})
			return err
		})
		return n
	}
	check := func(after string, want ...int) {
		t.Helper()
		got := []int{
			count(keys.TypeKey, b.vault.ID, keys.HSM), count(keys.TypeVersion, b.vault.ID, keys.HSM),
			count(keys.TypeKey, b.vault.ID, keys.Software), count(keys.TypeVersion, b.vault.ID, keys.Software),
			count(keys.TypeVersion, b.vault.ID, keys.HSM, keys.RSA2048), count(keys.TypeKey, other.ID, keys.Software),
		}
		if !slices.Equal(got, want) {
			t.Errorf("after %s: %v, want %v", after, got, want)
		}
	}
	check("nothing", 0, 0, 0, 0, 0, 0)
	put(t, s, soft, hard, hidden, other, elsewhere, v1, v2, v3, b.Version(hidden), b.Version(elsewhere))
	check("creation", 1, 2, 1, 1, 0, 1)
	erase(hard, v2, b.Time())
	put(t, s, v2, hard)
	check("a version's erasure", 1, 1, 1, 1, 0, 1)
	erase(soft, v1, b.Time())
	soft.State, soft.DeleteAt = keys.Deleted, b.Time()
	put(t, s, v1, soft)
	check("a key's erasure", 1, 1, 0, 0, 0, 1)
	_ = refused(t, s, "a total that is not kept", func(tx store.Tx) error {
		_, err := tx.Count(store.Counter{Type: keys.TypeAlias, Vault: b.vault.ID})
		return err
	})
}

// testDue lists what is scheduled: in order, up to and including the time asked for, and
// rotations only where key and vault are in use.
func testDue(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	at := func(hour int) time.Time { return epoch.Add(time.Duration(hour) * time.Hour) }
	leaving := b.Vault(b.tenant)
	leaving.State, leaving.DeleteAt = keys.PendingDeletion, at(4)
	parked := b.Key(leaving) // rotation suspended by its vault
	parked.Rotation.Next = at(1)
	pending, rotating, off := b.Key(b.vault), b.Key(b.vault), b.Key(b.vault)
	pending.State, pending.DeleteAt, pending.Rotation.Next = keys.PendingDeletion, at(2), at(1)
	rotating.Rotation.Next = at(3)
	off.State, off.Rotation.Next = keys.Disabled, at(1)
	last := b.Version(rotating)
	rotating.Primary = keys.ID{} // a primary version is not deleted
	last.State, last.DeleteAt = keys.PendingDeletion, at(3)
	cancelled := b.Key(b.vault)
	cancelled.DeleteAt = at(1)
	put(t, s, leaving, parked, pending, rotating, off, last, cancelled)
	want := []store.Due{
		{At: at(2), Kind: store.EraseKey, ID: pending.ID, Revision: pending.Revision},
		{At: at(3), Kind: store.EraseVersion, ID: last.ID, Revision: last.Revision},
		{At: at(3), Kind: store.RotateKey, ID: rotating.ID, Revision: rotating.Revision},
		{At: at(4), Kind: store.EraseVault, ID: leaving.ID, Revision: leaving.Revision},
	}
	for _, c := range []struct {
		before      time.Time
		limit, rows int
	}{
		{at(2).Add(-time.Microsecond), 0, 0},
		{at(2), 0, 1},
		{at(3).Add(-time.Microsecond), 0, 1},
		{at(3), 0, 3},
		{at(9), 0, 4},
		{at(9), 2, 2},
		{at(9), 9, 4},
	} {
		got := read(t, s, func(tx store.Tx) ([]store.Due, error) { return tx.Due(c.before, c.limit) })
		if diff := gocmp.Diff(want[:c.rows], slices.Clip(append([]store.Due{}, got...))); diff != "" {
			t.Errorf("due before %s, at most %d (-want +got):\n%s", c.before, c.limit, diff)
		}
	}
	leaving.State, leaving.DeleteAt = keys.Active, time.Time{}
	off.State = keys.Enabled
	put(t, s, leaving, off)
	got := read(t, s, func(tx store.Tx) ([]store.Due, error) { return tx.Due(at(1), 0) })
	ids := map[keys.ID]bool{}
	for _, d := range got {
		ids[d.ID] = d.Kind == store.RotateKey
	}
	if len(got) != 2 || !ids[parked.ID] || !ids[off.ID] {
		t.Errorf("resumed rotations: %+v, want those of %s and %s", got, parked.ID, off.ID)
	}
}

// testExpire lets time come for tokens, nonces and tombstones, each by its own clock.
func testExpire(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	at := func(hour int) time.Time { return epoch.Add(time.Duration(hour) * time.Hour) }
	for i := range 5 {
		put(t, s,
			&store.Token{Principal: b.ID(), Operation: "o", Token: "t", ExpiresAt: at(i)},
			&store.Nonce{Hash: [16]byte{byte(i)}, ExpiresAt: at(i)})
	}
	expire := func(until store.Expiry, limit int) (removed int) {
		t.Helper()
		update(t, s, func(tx store.Tx) (err error) {
			removed, err = tx.Expire(until, limit)
			return err
		})
		return removed
	}
	for _, c := range []struct {
		until       store.Expiry
		limit, want int
	}{
		{store.Expiry{}, 100, 0},
		{store.Expiry{Domain: at(0).Add(-time.Microsecond)}, 100, 0},
		{store.Expiry{Domain: at(1)}, 100, 2},
		{store.Expiry{Request: at(2)}, 2, 2},
		{store.Expiry{Request: at(2)}, 2, 1},
		{store.Expiry{Domain: at(9), Request: at(9)}, 4, 4},
		{store.Expiry{Domain: at(9), Request: at(9), Tombstones: at(9)}, 4, 1},
		{store.Expiry{Domain: at(9), Request: at(9), Tombstones: at(9)}, 4, 0},
	} {
		if got := expire(c.until, c.limit); got != c.want {
			t.Errorf("expire %+v, at most %d: %d, want %d", c.until, c.limit, got, c.want)
		}
	}
	testForget(t, s, b, expire)
}

// testForget erases a vault with all that is in it, and lets it be forgotten from below.
func testForget(t *testing.T, s store.Store, b *basis, expire func(store.Expiry, int) int) {
	v := b.Vault(b.tenant)
	k := b.Key(v)
	v1, v2 := b.Version(k), b.Version(k)
	a, g := b.Alias(k), b.Grant(k, b.tenant)
	kek := &store.KEK{Owner: v.ID, Generation: 1, Sealed: []byte{1}, CreatedAt: b.Time()}
	name := &store.ExternalID{Dialect: "oci", Type: keys.TypeKey, Name: "ocid1.old", ID: k.ID}
	put(t, s, v, k, v1, v2, a, g, kek, name)
	erased := b.Time()
	erase(k, v1, erased)
	v.State, v.DeleteAt, k.State, k.DeleteAt = keys.Deleted, erased, keys.Deleted, erased
	put(t, s, v, k, v1)
	if n := expire(store.Expiry{Tombstones: erased}, 100); n != 0 {
		t.Errorf("forgot %d that were erased at that moment, not before", n)
	}
	later := store.Expiry{Tombstones: erased.Add(time.Microsecond)}
	if n := expire(later, 100); n != 1 { // v2 still has its material, so key and vault stay
		t.Errorf("forgot %d, want the one erased version", n)
	}
	erase(k, v2, erased)
	put(t, s, v2, k)
	if n := expire(later, 2); n != 2 {
		t.Errorf("forgot %d, want the version and the key", n)
	}
	if n := expire(later, 2); n != 1 {
		t.Errorf("forgot %d, want the vault", n)
	}
	view(t, s, func(tx store.Tx) error {
		for _, rec := range []store.Record{v, k, v1, v2, a, g, kek, name} {
			if err := tx.Load(rec); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%T is still there: %v", rec, err)
			}
		}
		changes, err := tx.Changes(v2.Revision, 0)
		if len(changes) != 5 { // version, alias, grant, key; vault
			t.Errorf("forgetting is announced as %+v", changes)
		}
		return err
	})
}
