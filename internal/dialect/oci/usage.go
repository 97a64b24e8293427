// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"fmt"
	"net/url"
	"unicode/utf8"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// vaultUsage is VaultUsage: keyCount and keyVersionCount are those of protection HSM.
type vaultUsage struct {
	KeyCount                int `json:"keyCount"`
	KeyVersionCount         int `json:"keyVersionCount"`
	SoftwareKeyCount        int `json:"softwareKeyCount"`
	SoftwareKeyVersionCount int `json:"softwareKeyVersionCount"`
}

// getVaultUsage counts what this API shows: keys of another API's specs are not there.
func (d *Dialect) getVaultUsage(ctx context.Context, c *kms.Call, q *vaultRequest) (one, error) {
	u, err := d.kms.VaultUsage(ctx, c, q.vault, specsOf("", 0, ""))
	if err != nil {
		return one{}, err
	}
	return one{body: vaultUsage{u.HSMKeys, u.HSMVersions, u.SoftwareKeys, u.SoftwareVersions}}, nil
}

// mtlsResponse is VaultMtlsUpdateResponse.
type mtlsResponse struct {
	MTLSCryptoDNS string `json:"mtlsCryptoDns"`
	FleetID       string `json:"fleetId"`
	Status        string `json:"status"`
}

// maxFleet is the most characters of a fleet's id: as many as an OCID has.
const maxFleet = 255

// registerMTLSDetails is UpdateRegisteredVaultForMtlsDetails.
type registerMTLSDetails struct {
	vault kms.VaultRef
	fleet string
}

func (q *registerMTLSDetails) field(r *reader, name []byte) bool {
	if string(name) != "fleetId" {
		return false
	}
	q.fleet = r.text()
	return true
}

func (q *registerMTLSDetails) decode(in *input) (err error) {
	if q.vault, err = in.vaultRef(); err != nil {
		return err
	}
	if err := in.body(q); err != nil {
		return err
	}
	if utf8.RuneCountInString(q.fleet) > maxFleet {
		return keys.Invalid("fleetId", fmt.Sprintf("fleetId must have 1 to %d characters", maxFleet))
	}
	return required([2]string{"fleetId", q.fleet})
}

// updateRegisteredVaultForMtls answers the host of the vault's own endpoint, where the server asks
// clients for certificates.
func (d *Dialect) updateRegisteredVaultForMtls(ctx context.Context, c *kms.Call, q *registerMTLSDetails) (one, error) {
	v, err := d.kms.RegisterFleet(ctx, c, q.vault, kms.Fleet{ID: q.fleet, Served: d.cfg.MutualTLS})
	if err != nil {
		return one{}, err
	}
	at, err := url.Parse(d.baseURL(v))
	if err != nil {
		return one{}, fmt.Errorf("read the base URL of vault %s: %w", v.ID, err)
	}
	return one{etag: v.ETag, body: mtlsResponse{MTLSCryptoDNS: at.Host, FleetID: v.Fleet, Status: "CREATED"}}, nil
}
