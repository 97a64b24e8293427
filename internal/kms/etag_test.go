// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// tagged is something with an etag that methods change.
type tagged struct {
	read    func(*scene, *kms.Call) (string, error)
	methods func() []method
}

func taggedThings() map[string]tagged {
	keyChanges := func() (out []method) {
		for _, m := range keyMethods() {
			switch m.action {
			case keys.ReadKey, keys.ReadVersion, keys.ListVersions, keys.ListAliases, keys.ReadImportParameters,
				keys.ScheduleVersionDeletion, keys.CancelVersionDeletion:
			default:
				out = append(out, m)
			}
		}
		return out
	}
	only := func(all []method, actions ...keys.Action) (out []method) {
		for _, m := range all {
			for _, act := range actions {
				if m.action == act {
					out = append(out, m)
				}
			}
		}
		return out
	}
	return map[string]tagged{
		"key": {func(s *scene, c *kms.Call) (string, error) {
			k, err := s.Key(s.t.Context(), c, s.aesRef())
			if err != nil {
				return "", err
			}
			return k.ETag, nil
		}, keyChanges},
		"version": {func(s *scene, c *kms.Call) (string, error) {
			v, err := s.Version(s.t.Context(), c, s.aesRef(), kms.VersionRef{ID: s.old.ID})
			if err != nil {
				return "", err
			}
			return v.ETag, nil
		}, func() []method {
			return only(keyMethods(), keys.ScheduleVersionDeletion, keys.CancelVersionDeletion)
		}},
		"vault": {func(s *scene, c *kms.Call) (string, error) {
			v, err := s.Vault(s.t.Context(), c, kms.VaultRef{ID: s.vault})
			if err != nil {
				return "", err
			}
			return v.ETag, nil
		}, func() []method {
			return only(vaultMethods(), keys.UpdateVault, keys.MoveVault, keys.ScheduleVaultDeletion, keys.CancelVaultDeletion, keys.BackupVault,
				keys.CreateReplica, keys.DeleteReplica)
		}},
	}
}

// TestIfMatch calls every changing method with the etag of an earlier state, with a wrong one,
// and with the present one; the etag is another one after each change.
// Backups take one too, and change nothing.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	for name, thing := range taggedThings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := kmstest.New(t, kmstest.TwoRegions())
			vault := newVault(t, w, "scene")
			for _, m := range thing.methods() {
				s := m.ready(t, w, vault)
				etag := func() (out string) {
					must(t, w, func(c *kms.Call) (err error) {
						out, err = thing.read(s, c)
						return err
					})
					return out
				}
				call := func(ifMatch string) error {
					return as(t, w, w.Tenant, func(c *kms.Call) error {
						c.IfMatch = ifMatch
						return m.call(s, c)
					})
				}
				what := m.name + " " + string(m.action)
				present := etag()
				want(t, what+" with a wrong etag", call("x"+present[1:]), keys.KindRevision)
				if now := etag(); now != present {
					t.Errorf("%s: refused, and the etag changed", what)
				}
				want(t, what+" with the present etag", call(present), "")
				if after := etag(); (after != present) != changes(m.action) || len(after) != 40 {
					t.Errorf("%s: the etag before is %s, after it %s", what, present, after)
				}
			}
		})
	}
}

// TestAnEtagChangesWithTheEffectiveState looks at etags while time passes and a vault is
// scheduled: the records stay as they are, what they mean does not.
func TestAnEtagChangesWithTheEffectiveState(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	vault := newVault(t, w, "vault")
	req := wish(keys.AES256)
	req.Vault = vault
	inVault, own := newKey(t, w, req), newAES(t, w)
	distinct := map[string]string{}
	note := func(what, etag string) {
		t.Helper()
		if before, taken := distinct[etag]; taken {
			t.Errorf("%s has the etag that %s has", what, before)
		}
		distinct[etag] = what
	}
	note("a key", seen(t, w, inVault.ID).ETag)
	scheduleVault(t, w, vault, 20)
	note("it in a pending vault", seen(t, w, inVault.ID).ETag)
	must(t, w, func(c *kms.Call) error { return second(w.CancelVaultDeletion(t.Context(), c, kms.VaultRef{ID: vault})) })
	if got := seen(t, w, inVault.ID); distinct[got.ETag] != "a key" {
		t.Errorf("the vault is back and the untouched key has another etag than before")
	}
	scheduleKey(t, w, own.ID, 10)
	pending := seen(t, w, own.ID).ETag
	note("another key, pending", pending)
	w.Clock.Add(10*keys.Day - time.Microsecond)
	if got := seen(t, w, own.ID).ETag; got != pending {
		t.Error("the etag changed while nothing did")
	}
	w.Clock.Add(time.Microsecond)
	note("it at its time", seen(t, w, own.ID).ETag)
}
