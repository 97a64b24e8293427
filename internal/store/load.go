// SPDX-License-Identifier: Apache-2.0

package store

import (
	"claviger/internal/identity"
	"claviger/internal/keys"
)

// LoadTenant loads a tenant by its ID.
func LoadTenant(tx Tx, id keys.ID) (*keys.Tenant, error) { return load(tx, &keys.Tenant{ID: id}) }

// LoadCompartment loads a compartment by its ID.
func LoadCompartment(tx Tx, id keys.ID) (*keys.Compartment, error) {
	return load(tx, &keys.Compartment{ID: id})
}

// LoadVault loads a vault by its ID.
func LoadVault(tx Tx, id keys.ID) (*keys.Vault, error) { return load(tx, &keys.Vault{ID: id}) }

// LoadReplica loads a vault's replica by its ID.
func LoadReplica(tx Tx, id keys.ID) (*keys.Replica, error) { return load(tx, &keys.Replica{ID: id}) }

// LoadKey loads a key by its ID.
func LoadKey(tx Tx, id keys.ID) (*keys.Key, error) { return load(tx, &keys.Key{ID: id}) }

// LoadVersion loads a key version by its ID.
func LoadVersion(tx Tx, id keys.ID) (*keys.Version, error) { return load(tx, &keys.Version{ID: id}) }

// LoadPrincipal loads a principal by its ID.
func LoadPrincipal(tx Tx, id keys.ID) (*identity.Principal, error) {
	return load(tx, &identity.Principal{ID: id})
}

// LoadAlias loads an alias by its name.
func LoadAlias(tx Tx, tenant keys.ID, region keys.Region, name string) (*keys.Alias, error) {
	return load(tx, &keys.Alias{Tenant: tenant, Region: region, Name: name})
}

// LoadWorkRequest loads a work request by its ID.
func LoadWorkRequest(tx Tx, id keys.ID) (*keys.WorkRequest, error) {
	return load(tx, &keys.WorkRequest{ID: id})
}

func load[T any](tx Tx, rec *T) (*T, error) {
	if err := tx.Load(rec); err != nil {
		return nil, err
	}
	return rec, nil
}
