// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// doors are endpoints that only take notes.
type doors struct {
	mu   sync.Mutex
	made int
	open map[string]keys.ID // by endpoint; zero while it is reserved
	full bool
}

func (d *doors) Reserve(_ context.Context, id keys.ID) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return "", errors.New("every door is taken")
	}
	d.made++
	name := fmt.Sprint("door ", d.made)
	d.open[name] = keys.ID{}
	_ = id
	return name, nil
}

func (d *doors) Claim(ctx context.Context, id keys.ID, _ string) (string, error) {
	return d.Reserve(ctx, id)
}

func (d *doors) set(name string, id keys.ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, reserved := d.open[name]; !reserved {
		return fmt.Errorf("%s is not reserved", name)
	}
	d.open[name] = id
	return nil
}

func (d *doors) Release(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, name)
}

func (d *doors) Open(v *keys.Vault) error          { return d.set(v.Endpoint, v.ID) }
func (d *doors) OpenReplica(r *keys.Replica) error { return d.set(r.Endpoint, r.ID) }
func (d *doors) Close(v *keys.Vault)               { d.Release(v.Endpoint) }
func (d *doors) CloseReplica(r *keys.Replica)      { d.Release(r.Endpoint) }
func (d *doors) at(name string) (id keys.ID, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok = d.open[name]
	return id, ok
}

// TestReplicasHoldTheirEndpoints follows the endpoint of a replica that is deleted, of one whose
// vault is erased, and of those that were not made.
func TestReplicasHoldTheirEndpoints(t *testing.T) {
	t.Parallel()
	d := &doors{open: map[string]keys.ID{}}
	w := kmstest.New(t, kmstest.TwoRegions(), kmstest.With(func(c *kms.Config) {
		c.Endpoints, c.Tombstones = d, 90*keys.Day
	}))
	vault := newVault(t, w, "scene")
	before := len(d.open)
	r := replicate(t, w, vault)
	if id, _ := d.at(r.Endpoint); id != r.ID || len(d.open) != before+1 {
		t.Fatalf("at %q is %s, want the replica; %d doors", r.Endpoint, id, len(d.open))
	}
	replicate(t, w, vault) // nothing new
	err := as(t, w, w.Tenant, func(c *kms.Call) error {
		c.IfMatch = "wrong"
		return second(w.CreateReplica(t.Context(), c, kms.VaultRef{ID: w.Tenant.Vault}, kmstest.Away))
	})
	want(t, "with a wrong etag", err, keys.KindRevision)
	if len(d.open) != before+1 {
		t.Errorf("%d doors, want %d", len(d.open), before+1)
	}
	d.full = true
	err = as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.CreateReplica(t.Context(), c, kms.VaultRef{ID: w.Tenant.Vault}, kmstest.Away))
	})
	want(t, "with no door left", err, keys.KindLimit)
	d.full = false

	unreplicate(t, w, vault)
	next := replicate(t, w, vault)
	if _, held := d.at(r.Endpoint); !held || next.Endpoint == r.Endpoint {
		t.Error("the endpoint of a deleted replica is given away")
	}
	scheduleVault(t, w, vault, 10)
	advance(t, w, 11*keys.Day)
	if _, held := d.at(next.Endpoint); !held {
		t.Error("the endpoint of an erased vault's replica is given away")
	}
	want(t, "reading the erased vault at its replica", away(t, w, func(c *kms.Call) error {
		v, err := w.Vault(t.Context(), c, kms.VaultRef{ID: vault})
		if err == nil && v.State != keys.Deleted {
			t.Errorf("it is %s", v.State)
		}
		return err
	}), "")
	advance(t, w, 91*keys.Day)
	for _, name := range []string{r.Endpoint, next.Endpoint} {
		if _, held := d.at(name); held {
			t.Errorf("%s is held by a replica that is forgotten", name)
		}
	}
	stored(t, w, func(tx store.Tx) error {
		left, err := tx.Replicas(keys.ID{})
		if len(left) != 0 {
			t.Errorf("%d replicas are left", len(left))
		}
		return err
	})
}
