// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// situation is how a scene's keys come into a state.
type situation struct {
	name  string
	state keys.State // the effective one
	bring func(*scene, keys.ID)
}

func situations() []situation {
	none := func(*scene, keys.ID) {}
	schedule := func(s *scene, id keys.ID) { scheduleKey(s.t, s.World, id, 10) }
	vault := func(s *scene, _ keys.ID) { vaultIn(keys.PendingDeletion)(s) }
	return []situation{
		{"enabled", keys.Enabled, none},
		{"disabled", keys.Disabled, func(s *scene, id keys.ID) {
			if err := change(s.t, s.World, id, keys.DisableKey); err != nil {
				s.t.Fatal(err)
			}
		}},
		{"pending import", keys.PendingImport, func(s *scene, id keys.ID) {
			tamper(s.t, s.World, func(tx store.Tx) error {
				k, err := store.LoadKey(tx, id)
				if err != nil {
					return err
				}
				k.State = keys.PendingImport
				return tx.Put(k)
			})
		}},
		{"pending deletion", keys.PendingDeletion, schedule},
		{"in a vault pending deletion", keys.PendingDeletion, vault},
		{"due and not swept", keys.Deleted, func(s *scene, id keys.ID) {
			schedule(s, id)
			s.Clock.Add(11 * keys.Day)
		}},
		{"erased", keys.Deleted, func(s *scene, id keys.ID) {
			schedule(s, id)
			advance(s.t, s.World, 11*keys.Day)
		}},
		{"in a vault that is due", keys.Deleted, func(s *scene, id keys.ID) {
			vault(s, id)
			s.Clock.Add(31 * keys.Day)
		}},
		{"in an erased vault", keys.Deleted, func(s *scene, id keys.ID) {
			vault(s, id)
			advance(s.t, s.World, 31*keys.Day)
		}},
	}
}

// TestEachMethodFollowsTheLifecycle calls every method about a key on keys in every state, and
// compares with the table: allowed or refused by state, and the state after it.
func TestEachMethodFollowsTheLifecycle(t *testing.T) {
	t.Parallel()
	for _, in := range situations() {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			w := kmstest.New(t)
			for _, m := range append(keyMethods(), dataMethods()...) {
				s := newScene(t, w, newVault(t, w, "scene"))
				if m.importing() {
					s.imported()
				}
				if m.action == keys.CancelVersionDeletion {
					m.prepare(s)
				}
				in.bring(s, s.key.ID)
				for _, k := range []*kms.Key{s.ec, s.mac} {
					if in.state == seen(t, w, s.key.ID).State && in.state != seen(t, w, k.ID).State {
						in.bring(s, k.ID)
					}
				}
				before := seen(t, w, s.key.ID)
				if before.State != in.state {
					t.Fatalf("the key is %s", before.State)
				}
				action := m.needs()[0]
				next, refusal := keys.KeyLifecycle.Step(action, in.state, before.Before)
				byVault := in.name == "in a vault pending deletion" && next != in.state
				err := m.by(s, w.Tenant)
				name := m.name + " " + string(m.action)
				if refusal != nil || byVault {
					want(t, name, err, keys.KindState)
					if e := keys.AsError(err); e.State != in.state || e.Noun != keys.TypeKey || e.Action != action {
						t.Errorf("%s: refused as %s of %s by %s", name, e.Action, e.Noun, e.State)
					}
					if after := seen(t, w, s.key.ID); after.ETag != before.ETag {
						t.Errorf("%s: refused, and the key changed", name)
					}
					continue
				}
				want(t, name, err, "")
				if after := seen(t, w, s.key.ID); after.State != next {
					t.Errorf("%s: the key is %s after it, want %s", name, after.State, next)
				}
			}
		})
	}
}

// TestEachUseFollowsTheVersionsLifecycle uses, reads, schedules and cancels versions in every state.
func TestEachUseFollowsTheVersionsLifecycle(t *testing.T) {
	t.Parallel()
	type use struct {
		name   string
		action keys.Action
		call   func(w *kmstest.World, c *kms.Call, k keys.ID, v kms.VersionRef) error
	}
	ec := func(k keys.ID, v kms.VersionRef) kms.SignRequest {
		return kms.SignRequest{Key: kms.KeyRef{ID: k}, Version: v, Algorithm: keys.ECDSASHA256, Message: []byte("x")}
	}
	uses := []use{
		{"Sign", keys.UseVersion, func(w *kmstest.World, c *kms.Call, k keys.ID, v kms.VersionRef) error {
			return second(w.Sign(t.Context(), c, ec(k, v)))
		}},
		{"Verify", keys.UseVersion, func(w *kmstest.World, c *kms.Call, k keys.ID, v kms.VersionRef) error {
			return second(w.Verify(t.Context(), c, kms.VerifyRequest{SignRequest: ec(k, v), Signature: []byte("y")}))
		}},
		{"PublicKey", keys.UseVersion, func(w *kmstest.World, c *kms.Call, k keys.ID, v kms.VersionRef) error {
			_, _, err := w.PublicKey(t.Context(), c, kms.KeyRef{ID: k}, v)
			return err
		}},
		{"Version", keys.ReadVersion, func(w *kmstest.World, c *kms.Call, k keys.ID, v kms.VersionRef) error {
			return second(w.Version(t.Context(), c, kms.KeyRef{ID: k}, v))
		}},
		{"CancelVersionDeletion", keys.CancelVersionDeletion, func(w *kmstest.World, c *kms.Call, k keys.ID, v kms.VersionRef) error {
			return second(w.CancelVersionDeletion(t.Context(), c, kms.KeyRef{ID: k}, v))
		}},
		{"ScheduleVersionDeletion", keys.ScheduleVersionDeletion, func(w *kmstest.World, c *kms.Call, k keys.ID, v kms.VersionRef) error {
			return second(w.ScheduleVersionDeletion(t.Context(), c, kms.KeyRef{ID: k}, v, time.Time{}))
		}},
	}
	for _, in := range []struct {
		name  string
		state keys.State
		bring func(w *kmstest.World, key, version keys.ID)
	}{
		{"enabled", keys.Enabled, func(*kmstest.World, keys.ID, keys.ID) {}},
		{"pending deletion", keys.PendingDeletion, func(w *kmstest.World, key, version keys.ID) { scheduleVersion(t, w, key, version, 10) }},
		{"due and not swept", keys.Deleted, func(w *kmstest.World, key, version keys.ID) {
			scheduleVersion(t, w, key, version, 10)
			w.Clock.Add(10 * keys.Day)
		}},
		{"erased", keys.Deleted, func(w *kmstest.World, key, version keys.ID) {
			scheduleVersion(t, w, key, version, 10)
			advance(t, w, 10*keys.Day)
		}},
	} {
		w := kmstest.New(t)
		for _, u := range uses {
			k := newKey(t, w, wish(keys.ECP256))
			old := k.Primary
			rotate(t, w, k.ID)
			in.bring(w, k.ID, old)
			next, refusal := keys.VersionLifecycle.Step(u.action, in.state, keys.Enabled)
			err := as(t, w, w.Tenant, func(c *kms.Call) error { return u.call(w, c, k.ID, kms.VersionRef{ID: old}) })
			if refusal == nil {
				want(t, u.name+" of a version "+in.name, err, "")
			} else {
				want(t, u.name+" of a version "+in.name, err, keys.KindState)
				if e := keys.AsError(err); e.Noun != keys.TypeVersion || e.State != in.state {
					t.Errorf("%s of a version %s: refused for the state %s of a %s", u.name, in.name, e.State, e.Noun)
				}
			}
			if got := version(t, w, k.ID, 1); got.State != next {
				t.Errorf("%s of a version %s: it is %s after it, want %s", u.name, in.name, got.State, next)
			}
		}
	}
}

func TestThePrimaryVersionCannotBeDeleted(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	schedule := func(v keys.ID) error {
		return as(t, w, w.Tenant, func(c *kms.Call) error {
			return second(w.ScheduleVersionDeletion(t.Context(), c, kms.KeyRef{ID: k.ID}, kms.VersionRef{ID: v}, time.Time{}))
		})
	}
	want(t, "the only version", schedule(k.Primary), keys.KindPrimary)
	v := rotate(t, w, k.ID)
	want(t, "the new primary", schedule(v.ID), keys.KindPrimary)
	want(t, "the version before", schedule(k.Primary), "")
	want(t, "a version of another key", schedule(newAES(t, w).Primary), keys.KindNotFound)
	want(t, "no version", schedule(keys.ID{1}), keys.KindNotFound)
}

// TestCancellingReturnsToTheStateBefore schedules keys from each state; RestoreKey enables
// whatever that was.
func TestCancellingReturnsToTheStateBefore(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	for _, tt := range []struct {
		before keys.State
		cancel keys.Action
		want   keys.State
	}{
		{keys.Enabled, keys.CancelKeyDeletion, keys.Enabled},
		{keys.Disabled, keys.CancelKeyDeletion, keys.Disabled},
		{keys.Enabled, keys.RestoreKey, keys.Enabled},
		{keys.Disabled, keys.RestoreKey, keys.Enabled},
	} {
		k := newAES(t, w)
		if tt.before == keys.Disabled {
			want(t, "disable", change(t, w, k.ID, keys.DisableKey), "")
		}
		scheduleKey(t, w, k.ID, 10)
		if got := seen(t, w, k.ID); got.State != keys.PendingDeletion || !got.DeleteAt.Equal(inDays(w, 10)) {
			t.Errorf("scheduled: %s, erased at %v", got.State, got.DeleteAt)
		}
		want(t, string(tt.cancel), change(t, w, k.ID, tt.cancel), "")
		if got := seen(t, w, k.ID); got.State != tt.want || !got.DeleteAt.IsZero() || got.Before != "" {
			t.Errorf("%s from %s: %s, erased at %v", tt.cancel, tt.before, got.State, got.DeleteAt)
		}
	}
}

// TestAVaultsScheduleGovernsItsKeys follows a vault to its deletion and back.
func TestAVaultsScheduleGovernsItsKeys(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	vault := newVault(t, w, "doomed")
	var ids []keys.ID
	for range 3 {
		req := wish(keys.AES256)
		req.Vault = vault
		ids = append(ids, newKey(t, w, req).ID)
	}
	plain, disabled, own := ids[0], ids[1], ids[2]
	want(t, "disable", change(t, w, disabled, keys.DisableKey), "")
	scheduleKey(t, w, own, 12)
	err := as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.ScheduleVaultDeletion(t.Context(), c, kms.VaultRef{ID: vault}, inDays(w, 11)))
	})
	want(t, "a vault before one of its keys", err, keys.KindState)
	scheduleVault(t, w, vault, 20)

	for id, days := range map[keys.ID]int{plain: 20, disabled: 20, own: 12} {
		if k := seen(t, w, id); k.State != keys.PendingDeletion || !k.DeleteAt.Equal(inDays(w, days)) {
			t.Errorf("in the pending vault: %s, erased at %v", k.State, k.DeleteAt)
		}
		want(t, "cancelling a key in the pending vault", change(t, w, id, keys.CancelKeyDeletion), keys.KindState)
		want(t, "restoring a key in the pending vault", change(t, w, id, keys.RestoreKey), keys.KindState)
	}
	err = as(t, w, w.Tenant, func(c *kms.Call) error {
		req := wish(keys.AES256)
		req.Vault = vault
		return second(w.CreateKey(t.Context(), c, req))
	})
	want(t, "a new key in the pending vault", err, keys.KindState)

	must(t, w, func(c *kms.Call) error { return second(w.CancelVaultDeletion(t.Context(), c, kms.VaultRef{ID: vault})) })
	for id, state := range map[keys.ID]keys.State{plain: keys.Enabled, disabled: keys.Disabled, own: keys.PendingDeletion} {
		if k := seen(t, w, id); k.State != state {
			t.Errorf("after the vault was brought back a key is %s, want %s", k.State, state)
		}
	}
	want(t, "cancelling the key's own", change(t, w, own, keys.CancelKeyDeletion), "")
}
