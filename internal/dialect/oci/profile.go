// SPDX-License-Identifier: Apache-2.0

package oci

import "claviger/internal/keys"

// Throttling classes, as Oracle documents them per operation. Crypto operations have none.
const (
	provRead  = Name + "/prov-read"
	provWrite = Name + "/prov-write"
	mgmtRead  = Name + "/mgmt-read"
	mgmtWrite = Name + "/mgmt-write"
	unlimited = ""
)

// WriteRates are Oracle's rates of the operations that change something: 10 requests per second
// and tenancy in each class.
func WriteRates() map[string]float64 { return map[string]float64{provWrite: 10, mgmtWrite: 10} }

// CloudRates are all of Oracle's rates: [WriteRates], and the same for reads.
func CloudRates() map[string]float64 {
	return map[string]float64{provRead: 10, provWrite: 10, mgmtRead: 10, mgmtWrite: 10}
}

// Profile is the numbers of OCI: retentions of 7 to 30 days, rotation every 60 to 365 days, retry
// tokens that live 24 hours. Oracle's service limits on vaults, keys and versions differ by
// subscription, so there are none. Limits on tags hold for what a request sets, not for what is
// there, and are the dialect's own to check.
func Profile() *keys.Profile {
	retention := keys.Window{Min: 7 * keys.Day, Max: 30 * keys.Day, Default: 30 * keys.Day}
	return &keys.Profile{
		Dialect:          Name,
		KeyRetention:     retention,
		VersionRetention: retention,
		VaultRetention:   retention,
		RotationInterval: keys.Window{Min: 60 * keys.Day, Max: 365 * keys.Day},
		Replicas:         true,
		RotateImported:   true,
		TokenLife:        keys.Day,
	}
}
