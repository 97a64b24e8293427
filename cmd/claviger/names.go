// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"strings"

	"claviger/internal/dialect/admin"
	"claviger/internal/dialect/alibaba"
	"claviger/internal/dialect/oci"
	"claviger/internal/identity"
	"claviger/internal/keys"
)

// ociNaming tells the admin API what OCI calls things.
type ociNaming struct{ namer *oci.Namer }

func (ociNaming) Dialect() string { return oci.Name }

func (n ociNaming) Key(k *keys.Key) string {
	if !oci.Visible(k) {
		return ""
	}
	return n.namer.KeyName(k)
}

func (n ociNaming) Version(k *keys.Key, v *keys.Version) string {
	if !oci.Visible(k) {
		return ""
	}
	return n.namer.VersionName(v)
}

func (n ociNaming) Vault(v *keys.Vault) string { return n.namer.VaultName(v) }

func (ociNaming) Fresh(t keys.Type, id keys.ID) string {
	switch t {
	case keys.TypeTenant:
		return oci.NewTenancyName(id)
	case keys.TypePrincipal:
		return oci.NewUserName(id)
	case keys.TypeCompartment:
		return oci.NewCompartmentName(id)
	default:
		return ""
	}
}

func (ociNaming) Parse(name string) (admin.Ref, bool) {
	t, id, ok := oci.ParseName(name)
	return admin.Ref{Type: t, ID: id, Exact: true}, ok
}

func (ociNaming) RSAKeyName(t *keys.Tenant, p *identity.Principal, spki []byte) (name, fingerprint string) {
	tenancy, user := t.Names[oci.Name], p.Names[oci.Name]
	if tenancy == "" || user == "" {
		return "", ""
	}
	fingerprint = oci.Fingerprint(spki)
	return oci.CredentialName(tenancy, user, fingerprint), fingerprint
}

func (ociNaming) Fingerprint(spki []byte) string { return oci.Fingerprint(spki) }

func (n ociNaming) Region(r keys.Region) string { return n.namer.Region(r) }

// alibabaNaming tells the admin API what Alibaba Cloud calls things.
type alibabaNaming struct{ regions map[keys.Region]string }

func (alibabaNaming) Dialect() string { return alibaba.Name }

func (alibabaNaming) Key(k *keys.Key) string {
	if !alibaba.Visible(k) {
		return ""
	}
	return alibaba.KeyName(k.ID)
}

func (alibabaNaming) Version(k *keys.Key, v *keys.Version) string {
	if !alibaba.Visible(k) {
		return ""
	}
	return alibaba.VersionName(v.ID)
}

func (alibabaNaming) Vault(v *keys.Vault) string { return alibaba.InstanceName(v.ID) }

// Fresh makes up account numbers of 16 digits that do not begin with 0. The principals of an
// account are named by their access keys.
func (alibabaNaming) Fresh(t keys.Type, id keys.ID) string {
	const first, span = 1_000_000_000_000_000, 9_000_000_000_000_000
	if t != keys.TypeTenant {
		return ""
	}
	return fmt.Sprint(first + binary.BigEndian.Uint64(id[:8])%span)
}

func (n alibabaNaming) Parse(name string) (admin.Ref, bool) {
	if alibaba.IsAlias(name) {
		return admin.Ref{Type: keys.TypeKey, Alias: name}, true
	}
	arn, isKey := alibaba.ParseARN(name)
	ref := admin.Ref{Type: keys.TypeKey, Tenant: arn.Account}
	if !isKey {
		// acs:kms:REGION:ACCOUNT:alias/NAME
		parts := strings.SplitN(name, ":", 5)
		if len(parts) != 5 || parts[0] != "acs" || parts[1] != "kms" || !alibaba.IsAlias(parts[4]) {
			return admin.Ref{}, false
		}
		arn.Region, ref.Tenant, ref.Alias = parts[2], parts[3], parts[4]
	} else if id, err := keys.ParseID(arn.Key); err == nil {
		ref.ID = id
	} else {
		ref.External = arn.Key
	}
	ref.Region = keys.Region("\x00") // a region that no key is in, unless it is one of ours
	for region, id := range n.regions {
		if id == arn.Region {
			ref.Region = region
		}
	}
	return ref, true
}

func (alibabaNaming) RSAKeyName(*keys.Tenant, *identity.Principal, []byte) (name, fingerprint string) {
	return "", ""
}

func (alibabaNaming) Fingerprint([]byte) string { return "" }

func (n alibabaNaming) Region(r keys.Region) string { return n.regions[r] }
