// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/server"
)

// vaultEndpoints gives the service's vaults and their replicas base URLs.
type vaultEndpoints struct {
	server.Vaults
	handler        func(*keys.Vault) http.Handler // set before the first vault is opened
	replicaHandler func(*keys.Replica) http.Handler

	mu     sync.Mutex
	owners map[string]keys.ID // guarded by mu; endpoint → the vault or replica that answers there
}

func newVaultEndpoints(v server.Vaults) *vaultEndpoints {
	return &vaultEndpoints{Vaults: v, owners: map[string]keys.ID{}}
}

// site is what answers at one endpoint.
type site struct {
	endpoint, name string // the name is for errors
	owner          keys.ID
	handler        func() http.Handler
}

func (e *vaultEndpoints) vaultSite(v *keys.Vault) site {
	return site{v.Endpoint, v.Name, v.ID, func() http.Handler { return e.handler(v) }}
}

func (e *vaultEndpoints) replicaSite(r *keys.Replica) site {
	name := fmt.Sprintf("%s (replica of %s)", r.ID, r.Vault)
	return site{r.Endpoint, name, r.ID, func() http.Handler { return e.replicaHandler(r) }}
}

// open begins to answer at an endpoint.
func (e *vaultEndpoints) open(s site) error {
	if err := e.Vaults.Open(s.endpoint, s.handler()); err != nil {
		return fmt.Errorf("open endpoint of vault %s: %w", s.name, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.owners[s.endpoint] = s.owner
	return nil
}

// close stops answering at an endpoint.
func (e *vaultEndpoints) close(endpoint string) {
	e.mu.Lock()
	delete(e.owners, endpoint)
	e.mu.Unlock()
	e.Vaults.Close(endpoint)
}

func (e *vaultEndpoints) owner(endpoint string) keys.ID {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.owners[endpoint]
}

var _ kms.Endpoints = endpointsOf{}

// endpointsOf is vaultEndpoints as the service wants it.
type endpointsOf struct{ e *vaultEndpoints }

func (o endpointsOf) Reserve(_ context.Context, id keys.ID) (string, error) {
	return o.e.Vaults.Reserve(id.String())
}

func (o endpointsOf) Claim(_ context.Context, vault keys.ID, had string) (string, error) {
	return o.e.Vaults.Claim(vault.String(), had)
}

func (o endpointsOf) Release(endpoint string) { o.e.close(endpoint) }

func (o endpointsOf) Open(v *keys.Vault) error { return o.e.open(o.e.vaultSite(v)) }

func (o endpointsOf) Close(v *keys.Vault) { o.e.close(v.Endpoint) }

func (o endpointsOf) OpenReplica(r *keys.Replica) error { return o.e.open(o.e.replicaSite(r)) }

func (o endpointsOf) CloseReplica(r *keys.Replica) { o.e.close(r.Endpoint) }

// vaultURL is a vault's base URL.
func (e *vaultEndpoints) vaultURL(v *keys.Vault) string { return e.URL(v.Endpoint) }

// replicaURL is a replica's base URL.
func (e *vaultEndpoints) replicaURL(r *keys.Replica) string { return e.URL(r.Endpoint) }

// sites are the places of vaults and replicas.
func (e *vaultEndpoints) sites(vaults []*keys.Vault, replicas []*keys.Replica) []site {
	out := make([]site, 0, len(vaults)+len(replicas))
	for _, v := range vaults {
		out = append(out, e.vaultSite(v))
	}
	for _, r := range replicas {
		out = append(out, e.replicaSite(r))
	}
	return out
}

// match opens the endpoints of the vaults and replicas that there are, tombstones included, and
// closes all others.
func (e *vaultEndpoints) match(sites []site) error {
	wanted := map[string]keys.ID{}
	for _, s := range sites {
		wanted[s.endpoint] = s.owner
	}
	for _, endpoint := range e.Held() {
		if e.owner(endpoint) != wanted[endpoint] {
			e.close(endpoint)
		}
	}
	return e.openMissing(sites)
}

// follow opens the endpoints of what other nodes made, and closes those of what is gone. An
// endpoint that has no owner yet is about to get one.
func (e *vaultEndpoints) follow(sites []site) error {
	there := map[keys.ID]bool{}
	for _, s := range sites {
		there[s.owner] = true
	}
	for _, endpoint := range e.Held() {
		if owner := e.owner(endpoint); !owner.IsZero() && !there[owner] {
			e.close(endpoint)
		}
	}
	return e.openMissing(sites)
}

// openMissing makes every site answer; one that cannot does not keep the others from it.
func (e *vaultEndpoints) openMissing(sites []site) (failed error) {
	held := map[string]bool{}
	for _, endpoint := range e.Held() {
		held[endpoint] = true
	}
	for _, s := range sites {
		if s.endpoint == "" || held[s.endpoint] {
			continue // it answers, or is about to
		}
		err := e.Hold(s.endpoint, s.name)
		if err == nil {
			err = e.open(s)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
