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

// vaultEndpoints gives the service's vaults their base URLs.
type vaultEndpoints struct {
	server.Vaults
	handler func(*keys.Vault) http.Handler // set before the first vault is opened

	mu     sync.Mutex
	owners map[string]keys.ID // guarded by mu; endpoint → the vault that answers there
}

func newVaultEndpoints(v server.Vaults) *vaultEndpoints {
	return &vaultEndpoints{Vaults: v, owners: map[string]keys.ID{}}
}

// open begins to answer for a vault.
func (e *vaultEndpoints) open(v *keys.Vault) error {
	if err := e.Vaults.Open(v.Endpoint, e.handler(v)); err != nil {
		return fmt.Errorf("open endpoint of vault %s: %w", v.Name, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.owners[v.Endpoint] = v.ID
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

func (o endpointsOf) Reserve(_ context.Context, vault keys.ID) (string, error) {
	return o.e.Vaults.Reserve(vault.String())
}

func (o endpointsOf) Claim(_ context.Context, vault keys.ID, had string) (string, error) {
	return o.e.Vaults.Claim(vault.String(), had)
}

func (o endpointsOf) Release(endpoint string) { o.e.close(endpoint) }

func (o endpointsOf) Open(v *keys.Vault) error { return o.e.open(v) }

func (o endpointsOf) Close(v *keys.Vault) { o.e.close(v.Endpoint) }

// vaultURL is a vault's base URL.
func (e *vaultEndpoints) vaultURL(v *keys.Vault) string { return e.URL(v.Endpoint) }

// match opens the endpoints of the vaults that there are, tombstones included, and closes all
// others.
func (e *vaultEndpoints) match(vaults []*keys.Vault) error {
	wanted := map[string]keys.ID{}
	for _, v := range vaults {
		wanted[v.Endpoint] = v.ID
	}
	for _, endpoint := range e.Held() {
		if e.owner(endpoint) != wanted[endpoint] {
			e.close(endpoint)
		}
	}
	return e.openMissing(vaults)
}

// follow opens the endpoints of the vaults that other nodes made, and closes those of vaults that
// are gone. An endpoint that has no vault yet is about to get one.
func (e *vaultEndpoints) follow(vaults []*keys.Vault) error {
	there := map[keys.ID]bool{}
	for _, v := range vaults {
		there[v.ID] = true
	}
	for _, endpoint := range e.Held() {
		if owner := e.owner(endpoint); !owner.IsZero() && !there[owner] {
			e.close(endpoint)
		}
	}
	return e.openMissing(vaults)
}

// openMissing makes every vault answer; one that cannot does not keep the others from it.
func (e *vaultEndpoints) openMissing(vaults []*keys.Vault) (failed error) {
	held := map[string]bool{}
	for _, endpoint := range e.Held() {
		held[endpoint] = true
	}
	for _, v := range vaults {
		if v.Endpoint == "" || held[v.Endpoint] {
			continue // it answers, or is about to
		}
		err := e.Hold(v.Endpoint, v.Name)
		if err == nil {
			err = e.open(v)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
