// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// replicate gives a vault its replica away.
func replicate(t testing.TB, w *kmstest.World, vault keys.ID) *keys.Replica {
	t.Helper()
	var out *kms.Replicated
	must(t, w, func(c *kms.Call) (err error) {
		out, err = w.CreateReplica(t.Context(), c, kms.VaultRef{ID: vault}, kmstest.Away)
		return err
	})
	return out.Replica
}

func unreplicate(t testing.TB, w *kmstest.World, vault keys.ID) {
	t.Helper()
	must(t, w, func(c *kms.Call) error {
		return second(w.DeleteReplica(t.Context(), c, kms.VaultRef{ID: vault}, kmstest.Away))
	})
}

// through is as for a call at a replica's endpoint.
func through(t testing.TB, w *kmstest.World, r *keys.Replica, f func(*kms.Call) error) error {
	t.Helper()
	return as(t, w, w.Tenant, func(c *kms.Call) error {
		c.Region, c.Vault, c.Replica = r.Region, r.Vault, r.ID
		return f(c)
	})
}

// away is as for a call at the other region's own endpoint.
func away(t testing.TB, w *kmstest.World, f func(*kms.Call) error) error {
	t.Helper()
	return as(t, w, w.Tenant, func(c *kms.Call) error {
		c.Region = kmstest.Away
		return f(c)
	})
}

// TestAReplicaReadsAndUses calls every method through a replica: what reads and what uses keys
// does as it does at home, and what changes something is refused.
func TestAReplicaReadsAndUses(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.TwoRegions())
	vault := newVault(t, w, "scene")
	r := replicate(t, w, vault)
	nobody := member(t, w, w.Tenant, "nobody", "", keys.ID{})
	for _, m := range slices.Concat(keyMethods(), dataMethods(), vaultMethods()) {
		region := m.action == keys.ReadReplica && m.name == "Replicas" || slices.Contains([]keys.Action{
			keys.ReadVault, keys.UpdateVault, keys.MoveVault, keys.ScheduleVaultDeletion, keys.CancelVaultDeletion, keys.CreateReplica, keys.DeleteReplica,
		}, m.action)
		switch m.action {
		case keys.ReadWork:
			continue // belongs to the vault's own region
		case keys.ListAliases, keys.CreateAlias, keys.UpdateAlias, keys.DeleteAlias, keys.ReEncrypt, keys.ExportDataKey:
			continue // of a dialect that shows no replicas
		case keys.CreateReplica, keys.DeleteReplica:
			m.prepare = nil // it is there, and stays
		default:
		}
		s := m.ready(t, w, vault)
		s.replica = r.ID
		call := func(who kmstest.Tenant) error {
			return as(t, w, who, func(c *kms.Call) error {
				c.Region = kmstest.Away
				if !region {
					c.Vault, c.Replica = vault, r.ID
				}
				return m.call(s, c)
			})
		}
		kind := keys.KindReadOnly
		if keys.ThroughReplica(m.action) {
			kind = ""
		}
		what := m.name + " " + string(m.action)
		want(t, what+" through a replica", call(w.Tenant), kind)
		want(t, what+" through a replica, without a role", call(nobody), keys.KindDenied)
	}
}

// TestWhatAReplicaShows compares what is seen at home and through the replica.
func TestWhatAReplicaShows(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.TwoRegions())
	vault := newVault(t, w, "scene")
	s := newScene(t, w, vault)
	r := replicate(t, w, vault)
	see := func(do func(func(*kms.Call) error) error) (k *kms.Key, v *kms.Version, list []*kms.Key, versions []*kms.Version) {
		t.Helper()
		err := do(func(c *kms.Call) error {
			var errs [4]error
			k, errs[0] = w.Key(t.Context(), c, s.aesRef())
			v, errs[1] = w.Version(t.Context(), c, s.aesRef(), kms.VersionRef{ID: s.old.ID})
			l, err := w.Keys(t.Context(), c, kms.KeyFilter{Vault: vault}, kms.Page{})
			vs, err2 := w.Versions(t.Context(), c, s.aesRef(), kms.Page{}, false)
			if errs[2], errs[3] = err, err2; err == nil && err2 == nil {
				list, versions = l.Items, vs.Items
			}
			return errors.Join(errs[:]...)
		})
		if err != nil {
			t.Fatal(err)
		}
		return k, v, list, versions
	}
	k1, v1, l1, vs1 := see(func(f func(*kms.Call) error) error { return as(t, w, w.Tenant, f) })
	k2, v2, l2, vs2 := see(func(f func(*kms.Call) error) error { return through(t, w, r, f) })
	if len(l2) < 2 || len(vs2) != 2 {
		t.Fatalf("%d keys and %d versions through the replica", len(l2), len(vs2))
	}
	for _, k := range append(slices.Clone(l2), k2, &v2.OfKey, &vs2[0].OfKey, &vs2[1].OfKey) {
		if !k.Through {
			t.Error("a key seen through the replica does not say so")
		}
		k.Through = false
	}
	if diff := cmp.Diff([]any{k1, v1, l1, vs1}, []any{k2, v2, l2, vs2}); diff != "" {
		t.Errorf("what the replica shows (-home +replica):\n%s", diff)
	}
	if k1.InVault.Replica != r.ID {
		t.Error("the key's vault does not name its replica")
	}
}

// TestOneReplicaEach asks for replicas where there is one already, where none can be, and where
// there is none.
func TestOneReplicaEach(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) { c.Regions = []keys.Region{kmstest.Region, kmstest.Away, "third"} }))
	ref := kms.VaultRef{ID: w.Tenant.Vault}
	create := func(region keys.Region) (r *keys.Replica, err error) {
		err = as(t, w, w.Tenant, func(c *kms.Call) error {
			out, err := w.CreateReplica(t.Context(), c, ref, region)
			if err == nil {
				r = out.Replica
			}
			return err
		})
		return r, err
	}
	remove := func(region keys.Region) error {
		return as(t, w, w.Tenant, func(c *kms.Call) error { return second(w.DeleteReplica(t.Context(), c, ref, region)) })
	}
	for region, what := range map[keys.Region]string{kmstest.Region: "at home", "nowhere": "in no region", "": "anywhere"} {
		_, err := create(region)
		want(t, "a replica "+what, err, keys.KindInvalid)
	}
	want(t, "taking away what is not there", remove(kmstest.Away), keys.KindNotFound)
	first, err := create(kmstest.Away)
	if err != nil {
		t.Fatal(err)
	}
	again, err := create(kmstest.Away)
	if diff := cmp.Diff(first, again); err != nil || diff != "" {
		t.Errorf("a second replica in the same region: %v (-first +again):\n%s", err, diff)
	}
	_, err = create("third")
	want(t, "a replica in yet another region", err, keys.KindState)
	want(t, "taking it away elsewhere", remove("third"), keys.KindNotFound)
	want(t, "taking it away", remove(kmstest.Away), "")
	want(t, "taking it away again", remove(kmstest.Away), keys.KindNotFound)
	moved, err := create("third")
	if err != nil || moved.ID == first.ID {
		t.Errorf("the next replica, in another region: %v, id %s", err, moved.ID)
	}

	scheduleVault(t, w, w.Tenant.Vault, 10)
	_, err = create("third")
	want(t, "a replica of a vault that is leaving", err, keys.KindState)
	want(t, "taking away that of a vault that is leaving", remove("third"), "")
}

// TestRevocationsReachAReplicaAtOnce disables a key, and then takes the replica itself away.
func TestRevocationsReachAReplicaAtOnce(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.TwoRegions())
	vault := newVault(t, w, "scene")
	s := newScene(t, w, vault)
	r := replicate(t, w, vault)
	decrypt := func() error {
		return through(t, w, r, func(c *kms.Call) error {
			ref := s.aesRef()
			return second(w.Decrypt(t.Context(), c, kms.DecryptRequest{Key: &ref, Ciphertext: s.sealed}))
		})
	}
	want(t, "Decrypt through the replica of what home encrypted", decrypt(), "")
	for _, act := range []keys.Action{keys.DisableKey, keys.EnableKey} {
		if err := change(t, w, s.key.ID, act); err != nil {
			t.Fatal(err)
		}
		want(t, "after "+string(act), decrypt(), map[keys.Action]keys.Kind{keys.DisableKey: keys.KindState, keys.EnableKey: ""}[act])
	}
	scheduleVault(t, w, vault, 10)
	want(t, "while the vault is pending deletion", decrypt(), keys.KindState)
	must(t, w, func(c *kms.Call) error { return second(w.CancelVaultDeletion(t.Context(), c, kms.VaultRef{ID: vault})) })
	want(t, "after that was cancelled", decrypt(), "")

	unreplicate(t, w, vault)
	want(t, "Decrypt through a replica that is gone", decrypt(), keys.KindNotFound)
	for name, call := range map[string]func(*kms.Call) error{
		"Key":         func(c *kms.Call) error { return second(w.Key(t.Context(), c, s.aesRef())) },
		"Keys":        func(c *kms.Call) error { return second(w.Keys(t.Context(), c, kms.KeyFilter{}, kms.Page{})) },
		"Replication": func(c *kms.Call) error { return second(w.Replication(t.Context(), c, r.ID)) },
		"CreateKey":   func(c *kms.Call) error { return second(w.CreateKey(t.Context(), c, wish(keys.AES256))) },
		"a name":      func(c *kms.Call) error { return second(w.Key(t.Context(), c, kms.KeyRef{External: "old"})) },
	} {
		want(t, name+" through a replica that is gone", through(t, w, r, call), keys.KindNotFound)
	}
	other := replicate(t, w, vault) // the same vault again, and not the same replica
	want(t, "Decrypt through the one before", decrypt(), keys.KindNotFound)
	r = other
	want(t, "Decrypt through the new one", decrypt(), "")
}

// TestDeletingAReplicaWaitsForItsCalls holds an answered call open.
func TestDeletingAReplicaWaitsForItsCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := kmstest.New(t, kmstest.TwoRegions())
		k := newAES(t, w)
		r := replicate(t, w, w.Tenant.Vault)
		inFlight := w.Call(t, w.Tenant)
		inFlight.Region, inFlight.Vault, inFlight.Replica = r.Region, r.Vault, r.ID
		if _, err := w.Encrypt(t.Context(), inFlight, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}, Plaintext: []byte("x")}); err != nil {
			t.Fatalf("encrypt: %v", err)
		}
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			unreplicate(t, w, w.Tenant.Vault)
		}()
		synctest.Wait()
		select {
		case <-gone:
			t.Fatal("DeleteReplica answered while a call through the replica had not ended")
		default:
		}
		inFlight.End()
		<-gone
	})
}

// TestReplicasShowInTheirRegion lists and reads vaults where their replicas are.
func TestReplicasShowInTheirRegion(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.TwoRegions())
	local := func() (v *kms.Vault) { // made away
		if err := away(t, w, func(c *kms.Call) (err error) {
			v, err = w.CreateVault(t.Context(), c, kms.NewVault{Name: "m", Kind: keys.SharedVault})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return v
	}
	w.Clock.Add(time.Hour)
	late, early := newVault(t, w, "z"), newVault(t, w, "a")
	w.Clock.Add(time.Hour)
	own := local()
	w.Clock.Add(time.Hour)
	unseen, last := newVault(t, w, "unseen"), newVault(t, w, "b")
	for _, id := range []keys.ID{late, early, last} {
		replicate(t, w, id)
	}
	names := func(p kms.Page) (out []string) {
		t.Helper()
		for {
			var list *kms.List[*kms.Vault]
			if err := away(t, w, func(c *kms.Call) (err error) {
				list, err = w.Vaults(t.Context(), c, "", p)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			for _, v := range list.Items {
				if (v.Through != nil) == (v.Region == kmstest.Away) || (v.Through != nil && (v.Through.Region != kmstest.Away || v.Through.Vault != v.ID)) {
					t.Errorf("vault %s of region %s is seen through %v", v.Name, v.Region, v.Through)
				}
				out = append(out, v.Name)
			}
			if len(list.Items) > p.Limit || list.Next == "" {
				return out
			}
			p.Cursor = list.Next
		}
	}
	for _, c := range []struct {
		page kms.Page
		want []string
	}{
		{kms.Page{Limit: 2, ByName: true}, []string{"a", "b", "default", "m", "z"}},
		{kms.Page{Limit: 1, ByName: true, Desc: true}, []string{"z", "m", "default", "b", "a"}},
		{kms.Page{Limit: 100, ByName: true}, []string{"a", "b", "default", "m", "z"}},
	} {
		if diff := cmp.Diff(c.want, names(c.page)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.page, diff)
		}
	}
	byAge := names(kms.Page{Limit: 2})
	if i := slices.Index(byAge, "m"); len(byAge) != 5 || byAge[0] != "default" || i != 3 || byAge[4] != "b" {
		t.Errorf("by age: %v", byAge)
	}
	for id, kind := range map[keys.ID]keys.Kind{late: "", own.ID: "", unseen: keys.KindNotFound} {
		want(t, "reading a vault away", away(t, w, func(c *kms.Call) error { return second(w.Vault(t.Context(), c, kms.VaultRef{ID: id})) }), kind)
	}
	want(t, "reading a vault with a replica away at home", as(t, w, w.Tenant, func(c *kms.Call) error {
		v, err := w.Vault(t.Context(), c, kms.VaultRef{ID: late})
		if err == nil && v.Through != nil {
			t.Error("at home the vault is seen through its replica")
		}
		return err
	}), "")

	// A dialect without replicas sees none, neither by lists nor by name.
	plain := kmstest.Profile
	plain.Replicas = false
	want(t, "reading it through a dialect without replicas", away(t, w, func(c *kms.Call) error {
		c.Profile = &plain
		list, err := w.Vaults(t.Context(), c, "", kms.Page{})
		if err == nil && len(list.Items) != 2 {
			t.Errorf("%d vaults listed, want the 2 of the region", len(list.Items))
		}
		return errors.Join(err, second(w.Vault(t.Context(), c, kms.VaultRef{ID: late})))
	}), keys.KindNotFound)
	k := func() *kms.Key {
		req := wish(keys.AES256)
		req.Vault = late
		return newKey(t, w, req)
	}()
	want(t, "reading its key at the region's own endpoint", away(t, w, func(c *kms.Call) error { return second(w.Key(t.Context(), c, kms.KeyRef{ID: k.ID})) }), keys.KindNotFound)
	want(t, "the same at another vault's endpoint", away(t, w, func(c *kms.Call) error {
		c.Vault = own.ID
		return second(w.Key(t.Context(), c, kms.KeyRef{ID: k.ID}))
	}), keys.KindNotFound)
}

// TestCarriedOverNamesReachAReplica asks by names of another cloud.
func TestCarriedOverNamesReachAReplica(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.TwoRegions())
	vault := newVault(t, w, "scene")
	s := newScene(t, w, vault)
	for typ, id := range map[keys.Type]keys.ID{keys.TypeVault: vault, keys.TypeKey: s.key.ID, keys.TypeVersion: s.old.ID} {
		err := w.AddExternalID(t.Context(), w.System("test"), store.ExternalID{
			Dialect: "test", Type: typ, Tenant: w.Tenant.ID, Region: kmstest.Region, Name: "old " + string(typ), ID: id,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	vaultNamed := func(name string) error {
		return away(t, w, func(c *kms.Call) error { return second(w.Vault(t.Context(), c, kms.VaultRef{External: name})) })
	}
	want(t, "the vault before it has a replica", vaultNamed("old vault"), keys.KindNotFound)
	r := replicate(t, w, vault)
	want(t, "the vault", vaultNamed("old vault"), "")
	want(t, "another name", vaultNamed("old"), keys.KindNotFound)
	want(t, "key and version", through(t, w, r, func(c *kms.Call) error {
		ref := kms.KeyRef{External: "old key"}
		return errors.Join(
			second(w.Version(t.Context(), c, ref, kms.VersionRef{External: "old keyversion"})),
			second(w.Decrypt(t.Context(), c, kms.DecryptRequest{Key: &ref, Ciphertext: s.sealed})),
		)
	}), "")
}

// TestReplicaAnswersAreRepeated sends retry tokens.
func TestReplicaAnswersAreRepeated(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.TwoRegions())
	ref := kms.VaultRef{ID: w.Tenant.Vault}
	create := func() (*kms.Replicated, error) {
		c := tokened(t, w, w.Tenant, "CreateVaultReplica", "t", 1)
		defer c.End()
		return w.CreateReplica(t.Context(), c, ref, kmstest.Away)
	}
	remove := func() *kms.Replicated {
		c := tokened(t, w, w.Tenant, "DeleteVaultReplica", "t", 1)
		defer c.End()
		v, err := w.DeleteReplica(t.Context(), c, ref, kmstest.Away)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first, err := create()
	again, err2 := create()
	if diff := cmp.Diff(first, again); diff != "" || err != nil || err2 != nil {
		t.Errorf("%v, %v, -first +repeat:\n%s", err, err2, diff)
	}
	v := remove()
	if diff := cmp.Diff(v, remove()); diff != "" || v.Replica.ID != first.Replica.ID || v.Work.ID == first.Work.ID {
		t.Errorf("deletion repeated, of %v: -first +repeat:\n%s", v.Replica, diff)
	}
	if work := readWork(t, w, v.Work.ID); work.Status != keys.WorkSucceeded || work.Action != keys.DeleteReplica || work.Vault != w.Tenant.Vault {
		t.Errorf("the deletion's work request: %+v", work)
	}
	_, err = create()
	want(t, "what was made has been deleted since", err, keys.KindToken)
}

// TestWhatAReplicaRecords looks for the replica and its region in the audit log.
func TestWhatAReplicaRecords(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.TwoRegions())
	k := newAES(t, w)
	r := replicate(t, w, w.Tenant.Vault)
	ref := kms.KeyRef{ID: k.ID}
	want(t, "Encrypt", through(t, w, r, func(c *kms.Call) error {
		return second(w.Encrypt(t.Context(), c, kms.EncryptRequest{Key: ref, Plaintext: []byte("x")}))
	}), "")
	want(t, "DisableKey", through(t, w, r, func(c *kms.Call) error {
		return second(w.ChangeKeyState(t.Context(), c, ref, keys.DisableKey))
	}), keys.KindReadOnly)
	want(t, "UpdateVault", away(t, w, func(c *kms.Call) error {
		return second(w.UpdateVault(t.Context(), c, kms.VaultRef{ID: r.Vault}, kms.VaultUpdate{}))
	}), keys.KindReadOnly)
	unreplicate(t, w, w.Tenant.Vault)
	seen := map[keys.Action]bool{}
	for _, ev := range events(t, w) {
		if ev.Replica == r.ID && ev.Region == kmstest.Away && ev.Vault == r.Vault {
			seen[ev.Action] = true
		} else if !ev.Replica.IsZero() || ev.Region != "" {
			t.Errorf("an event of another replica: %+v", ev)
		}
	}
	wanted := map[keys.Action]bool{keys.Encrypt: true, keys.DisableKey: true, keys.UpdateVault: true, keys.CreateReplica: true, keys.DeleteReplica: true}
	if diff := cmp.Diff(wanted, seen); diff != "" {
		t.Errorf("what was recorded of the replica (-want +got):\n%s", diff)
	}
}
