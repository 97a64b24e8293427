// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// apiKey is a new API signing key.
type apiKey struct {
	private, public string // PEM
}

func newAPIKey(t *testing.T) apiKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return apiKey{
		private: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		public:  string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
	}
}

// tenant is another tenant than the first one, through both clouds, with a vault of its own.
type tenant struct {
	server    *live.Process
	principal live.Principal
	oci       oci
	ali       ali
}

func secondTenant(t *testing.T, server *live.Process) tenant {
	t.Helper()
	return newTenant(t, server, "second")
}

func newTenant(t *testing.T, server *live.Process, name string) tenant {
	t.Helper()
	key := newAPIKey(t)
	p := server.Admin.NewTenant(t, name, key.public)
	o := callerWith(t, server, p, key)
	o.compartment = p.Tenancy
	return tenant{
		server: server, principal: p, oci: o.in(t, o.createVault(t, "theirs")),
		ali: aliWith(t, server, alibaba.ACS3, p.AccessKeyID, p.Secret),
	}
}

// callerWith is a principal through Oracle's SDK, at the first vault's endpoints.
func callerWith(t *testing.T, server *live.Process, p live.Principal, key apiKey) oci {
	t.Helper()
	access := server.Ready.OCI
	if p.Tenancy != "" {
		access.Tenancy = p.Tenancy
	}
	access.User, access.Fingerprint = p.User, p.Fingerprint
	return oci{oracle.WithKey(t, access, key.private), access.Compartment}
}

// grant opens a key of the first tenant to this one, for reading its versions.
func (n tenant) grant(t *testing.T, key string) {
	t.Helper()
	n.server.Admin.Grant(t, key, n.principal.Tenant, "ReadVersion")
}

// What belongs to one tenant does not exist for another, through either cloud.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o, a := throughOCI(t, server), throughAlibaba(t, server, alibaba.ACS3)
	guest := secondTenant(t, server)
	b := newBridge(t, server, "first's")
	b.named(t, *o.createKey(t, aesShape(32)).Id)
	a.must(t, "CreateAlias", alibaba.Params{"KeyId": b.aliID, "AliasName": "alias/mine"})
	b.seal(t)

	atFirst := oci{guest.oci.At(t, server.Ready.OCI.ManagementEndpoint, server.Ready.OCI.CryptoEndpoint), guest.oci.compartment}
	for name, through := range map[string]oci{"at its own vault": guest.oci, "at the first tenant's vault": atFirst} {
		_, err := through.Management.GetKey(t.Context(), keymanagement.GetKeyRequest{KeyId: &b.ociID})
		want(t, "GetKey "+name, oracle.Refusal(err), "404 NotAuthorizedOrNotFound")
		_, err = through.decrypt(t.Context(), b.ociID, "", b.sealed[0].ciphertext, aliContext, "")
		want(t, "Decrypt "+name, oracle.Refusal(err), "404 NotAuthorizedOrNotFound")
	}
	_, err := guest.oci.Vault.GetVault(t.Context(), keymanagement.GetVaultRequest{VaultId: &server.Ready.OCI.VaultID})
	want(t, "GetVault", oracle.Refusal(err), "404 NotAuthorizedOrNotFound")
	_, err = guest.oci.Vault.ListVaults(t.Context(), keymanagement.ListVaultsRequest{CompartmentId: &o.compartment})
	want(t, "ListVaults of another tenancy's root", oracle.Refusal(err), "404 NotAuthorizedOrNotFound")

	for action, params := range map[string]alibaba.Params{
		"DescribeKey": {"KeyId": b.aliID}, "Encrypt": {"KeyId": b.aliID, "Plaintext": "QQ=="},
		"Decrypt":          {"CiphertextBlob": b.sealed[0].ciphertext, "EncryptionContext": aliContext},
		"DisableKey":       {"KeyId": b.aliID},
		"CreateKeyVersion": {"KeyId": "acs:kms:" + server.Ready.Alibaba.RegionID + ":" + server.Ready.Alibaba.AccountID + ":key/" + b.aliID},
	} {
		want(t, action, guest.ali.refusal(action, params), "404 Forbidden.KeyNotFound")
	}
	guest.ali.must(t, "CreateAlias", alibaba.Params{
		"KeyId": guest.ali.createKey(t, "Aliyun_AES_256", forEncryption).KeyID, "AliasName": "alias/mine",
	}) // each account has its own aliases
	if keys := guest.ali.must(t, "ListKeys", alibaba.Params{}); keys.TotalCount != 1 {
		t.Errorf("the second tenant sees %d keys, want its own", keys.TotalCount)
	}
}

// A role allows what it says and no more: a user uses keys but makes none, an auditor only looks.
func TestRoles(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	aes := *o.createKey(t, aesShape(32)).Id
	for role, allowed := range map[string]map[string]string{
		"admin":   {"create": "200", "read": "200", "use": "200"},
		"user":    {"create": "404 NotAuthorizedOrNotFound", "read": "200", "use": "200"},
		"auditor": {"create": "404 NotAuthorizedOrNotFound", "read": "200", "use": "404 NotAuthorizedOrNotFound"},
	} {
		key := newAPIKey(t)
		caller := callerWith(t, server, server.Admin.NewPrincipal(t, server.Ready.OCI.Tenancy, "one "+role, role, key.public), key)
		_, err := caller.Management.CreateKeyVersion(t.Context(), keymanagement.CreateKeyVersionRequest{KeyId: &aes})
		want(t, role+" rotates", oracle.Refusal(err), allowed["create"])
		_, err = caller.Management.GetKey(t.Context(), keymanagement.GetKeyRequest{KeyId: &aes})
		want(t, role+" reads", oracle.Refusal(err), allowed["read"])
		_, err = caller.encrypt(t.Context(), aes, []byte("x"), nil, "")
		want(t, role+" encrypts", oracle.Refusal(err), allowed["use"])
	}
}

// A credential that is removed stops working with the answer of its removal.
func TestCredentialRevoked(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	guest := secondTenant(t, server)
	guest.ali.must(t, "ListKeys", alibaba.Params{})
	for _, credential := range guest.principal.Credentials {
		if err := server.Admin.Do("DELETE", "credentials/"+credential, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "Alibaba", guest.ali.refusal("ListKeys", alibaba.Params{}), "404 InvalidAccessKeyId.NotFound")
	_, err := guest.oci.Management.ListKeys(t.Context(), keymanagement.ListKeysRequest{CompartmentId: &guest.oci.compartment})
	want(t, "OCI", oracle.Refusal(err), "401 NotAuthenticated")
}
