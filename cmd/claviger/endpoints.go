// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/server"
)

// vaultEndpoints gives the service's vaults their base URLs.
type vaultEndpoints struct {
	server.Vaults
	handler func(*keys.Vault) http.Handler // set before the first vault is opened
}

var _ kms.Endpoints = endpointsOf{}

// endpointsOf is vaultEndpoints as the service wants it.
type endpointsOf struct{ e *vaultEndpoints }

func (o endpointsOf) Reserve(_ context.Context, vault keys.ID) (string, error) {
	return o.e.Vaults.Reserve(vault.String())
}

func (o endpointsOf) Release(endpoint string) { o.e.Vaults.Close(endpoint) }

func (o endpointsOf) Open(v *keys.Vault) error {
	return o.e.Vaults.Open(v.Endpoint, o.e.handler(v))
}

func (o endpointsOf) Close(v *keys.Vault) { o.e.Vaults.Close(v.Endpoint) }

// vaultURL is a vault's base URL.
func (e *vaultEndpoints) vaultURL(v *keys.Vault) string { return e.URL(v.Endpoint) }

// match opens the endpoints of the vaults that there are, tombstones included, and closes all
// others.
func (e *vaultEndpoints) match(vaults []*keys.Vault) error {
	wanted, held := map[string]bool{}, map[string]bool{}
	for _, v := range vaults {
		wanted[v.Endpoint] = true
	}
	for _, endpoint := range e.Held() {
		held[endpoint] = true
		if !wanted[endpoint] {
			e.Close(endpoint)
		}
	}
	for _, v := range vaults {
		if held[v.Endpoint] {
			continue
		}
		if err := e.Hold(v.Endpoint, v.Name); err != nil {
			return err
		}
		if err := e.Open(v.Endpoint, e.handler(v)); err != nil {
			return fmt.Errorf("open endpoint of vault %s: %w", v.Name, err)
		}
	}
	return nil
}
