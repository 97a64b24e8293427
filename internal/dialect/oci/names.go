// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"crypto/fips140"
	"crypto/md5" //nolint:gosec // the fingerprint of an API key is MD5 by Oracle's definition, and a name only
	"encoding/hex"
	"strings"

	"claviger/internal/keys"
)

// Name is the key of OCI's names, profile and metrics.
const Name = "oci"

// Namer renders records' OCIDs. It is immutable and safe for concurrent use.
type Namer struct{ regions map[keys.Region]regionName }

// regionName is a region as OCIDs write it.
type regionName struct {
	name   string // us-ashburn-1
	inOCID string // iad
	hash   string // begins every unique part
}

// NewNamer makes a namer from the regions' OCI names, such as us-ashburn-1. A region that is not
// in names goes by its own name.
func NewNamer(names map[keys.Region]string) *Namer {
	n := &Namer{regions: make(map[keys.Region]regionName, len(names))}
	for region, name := range names {
		n.regions[region] = newRegionName(name)
	}
	return n
}

func newRegionName(name string) regionName {
	r := regionName{name: name, inOCID: name, hash: string(appendRegionHash(nil, name))}
	switch name { // the two oldest regions keep their airport codes in OCIDs
	case "us-ashburn-1":
		r.inOCID = "iad"
	case "us-phoenix-1":
		r.inOCID = "phx"
	}
	return r
}

func (n *Namer) region(r keys.Region) regionName {
	if name, ok := n.regions[r]; ok {
		return name
	}
	return newRegionName(string(r))
}

// Region is the region's OCI name.
func (n *Namer) Region(r keys.Region) string { return n.region(r).name }

// regionNamed is the region with an OCI name; false when there is none.
func (n *Namer) regionNamed(name string) (keys.Region, bool) {
	for region, r := range n.regions {
		if r.name == name {
			return region, true
		}
	}
	return "", false
}

// VaultName is a vault's OCID.
func (n *Namer) VaultName(v *keys.Vault) string { return n.vaultName(v.Region, v.ID) }

// KeyName is a key's OCID.
func (n *Namer) KeyName(k *keys.Key) string { return n.keyName(k.Region, k.Vault, k.ID) }

// VersionName is a key version's OCID.
func (n *Namer) VersionName(v *keys.Version) string {
	return n.versionName(v.Region, v.Vault, v.Key, v.ID)
}

// WorkRequestName is a work request's OCID.
func (n *Namer) WorkRequestName(w *keys.WorkRequest) string {
	r := n.region(w.Region)
	b := appendHead(make([]byte, 0, 100), typeWorkRequest, r)
	return string(appendIdentity(append(b, r.hash...), typeWorkRequest, w.ID))
}

func (n *Namer) vaultName(region keys.Region, vault keys.ID) string {
	var b [maxName]byte
	return string(n.appendVault(b[:0], typeVault, region, vault, vault))
}

func (n *Namer) keyName(region keys.Region, vault, key keys.ID) string {
	var b [maxName]byte
	return string(n.appendVault(b[:0], typeKey, region, vault, key))
}

func (n *Namer) versionName(region keys.Region, vault, key, version keys.ID) string {
	var b [maxName]byte
	return string(n.appendVersion(b[:0], region, vault, key, version))
}

// wrappingKeyName is the OCID of the key under which material is imported into a vault.
func (n *Namer) wrappingKeyName(v *keys.Vault) string {
	return n.keyName(v.Region, v.ID, keys.WrappingKeyID(v.ID))
}

func (n *Namer) appendVault(b []byte, typ string, region keys.Region, vault, id keys.ID) []byte {
	return appendIdentity(n.appendParents(b, typ, region, vault), typ, id)
}

// appendParents appends all of an OCID that its type and id do not decide.
func (n *Namer) appendParents(b []byte, typ string, region keys.Region, vault keys.ID) []byte {
	r := n.region(region)
	b = appendHead(b, typ, r)
	b = append(appendSegment(b, vault), '.')
	return append(b, r.hash...)
}

func (n *Namer) appendVersion(b []byte, region keys.Region, vault, key, version keys.ID) []byte {
	r := n.region(region)
	b = appendHead(b, typeKeyVersion, r)
	b = append(appendSegment(b, vault), '.')
	b = append(appendSegment(b, key), '.')
	return appendIdentity(append(b, r.hash...), typeKeyVersion, version)
}

func appendHead(b []byte, typ string, r regionName) []byte {
	b = append(b, "ocid1."...)
	b = append(b, typ...)
	b = append(b, "."+realm+"."...)
	b = append(b, r.inOCID...)
	return append(b, '.')
}

// isKey reports whether name, of which parseOCID made o, is exactly the key's OCID. What the type
// and id decide has been read and need not be made again.
func (n *Namer) isKey(name string, o ocid, k *keys.Key) bool {
	var b [maxName]byte
	return o.typ == typeKey && o.id == k.ID && len(name) > idChars+idChars &&
		string(n.appendParents(b[:0], typeKey, k.Region, k.Vault)) == name[:len(name)-idChars-idChars]
}

// isVersion reports whether name is exactly the version's OCID.
func (n *Namer) isVersion(name string, v *keys.Version) bool {
	var b [maxName]byte
	return string(n.appendVersion(b[:0], v.Region, v.Vault, v.Key, v.ID)) == name
}

// NewTenancyName generates the OCID that a tenant is to be stored under.
func NewTenancyName(id keys.ID) string { return newGlobalName(typeTenancy, id) }

// NewUserName generates the OCID that a principal is to be stored under.
func NewUserName(id keys.ID) string { return newGlobalName(typeUser, id) }

// NewCompartmentName generates the OCID that a compartment is to be stored under. The root
// compartment goes by its tenancy's.
func NewCompartmentName(id keys.ID) string { return newGlobalName(typeCompartment, id) }

// ParseName reads an OCID that was generated here. The caller still has to load the record and
// compare its rendered name: an OCID of another region or parent parses too.
func ParseName(s string) (keys.Type, keys.ID, bool) {
	o, ok := parseOCID(s)
	if !ok {
		return "", keys.ID{}, false
	}
	return map[string]keys.Type{
		typeTenancy: keys.TypeTenant, typeCompartment: keys.TypeCompartment, typeUser: keys.TypePrincipal,
		typeVault: keys.TypeVault, typeKey: keys.TypeKey, typeKeyVersion: keys.TypeVersion,
		typeWorkRequest: keys.TypeWork,
	}[o.typ], o.id, true
}

// Fingerprint is what Oracle calls an API key by: the MD5 of the DER SubjectPublicKeyInfo as 16
// lower-case hexadecimal pairs with colons between them.
func Fingerprint(publicKey []byte) string {
	var sum [md5.Size]byte
	fips140.WithoutEnforcement(func() { sum = md5.Sum(publicKey) }) //nolint:gosec // see the import
	digits := hex.EncodeToString(sum[:])
	pairs := make([]string, 0, md5.Size)
	for i := 0; i < len(digits); i += 2 {
		pairs = append(pairs, digits[i:i+2])
	}
	return strings.Join(pairs, ":")
}

// CredentialName is the keyId that a client signs with, the name to store its credential under.
func CredentialName(tenancy, user, fingerprint string) string {
	return tenancy + "/" + user + "/" + fingerprint
}
