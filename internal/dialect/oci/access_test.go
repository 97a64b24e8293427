// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"claviger/internal/dialect"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// principal makes a principal of the first tenant with a role, and answers it as a tenant whose
// administrator it were.
func (r *rig) principal(t *testing.T, role identity.Role) kmstest.Tenant {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.CreatePrincipal(t.Context(), r.System("test"), kms.NewPrincipal{Tenant: r.Tenant.ID, Name: string(role), Role: role})
	if err != nil {
		t.Fatal(err)
	}
	out := r.Tenant
	out.Principal, out.RSAKey = p.ID, key
	out.RSAKeyName = CredentialName(r.Tenant.Names[Name], NewUserName(p.ID), Fingerprint(spki))
	if _, err := r.AddRSAKey(t.Context(), r.System("test"), p.ID, out.RSAKeyName, spki); err != nil {
		t.Fatal(err)
	}
	return out
}

// Whoever may not is told what somebody is told who asks for what is not there.
func TestWhoMayNotIsToldNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	k := r.newKey(t, r.Tenant, "AES", 32)
	url, key := r.vault(r.Tenant)+"/20180608/", fmt.Sprint("keys/", k["id"])
	newKey := map[string]any{"compartmentId": r.Tenant.Names[Name], "displayName": "k", "keyShape": map[string]any{"algorithm": "AES", "length": 32}}
	encrypt := map[string]any{"keyId": k["id"], "plaintext": "aGVsbG8="}
	as := map[identity.Role]kmstest.Tenant{}
	for _, role := range []identity.Role{identity.User, identity.Operator, identity.Auditor} {
		as[role] = r.principal(t, role)
	}
	for _, tc := range []struct {
		role         identity.Role
		method, path string
		body         any
		text         string // "" is success
	}{
		{identity.User, "POST", "encrypt", encrypt, ""},
		{identity.User, "GET", key, nil, ""},
		{identity.User, "POST", "keys", newKey, textNotFound},
		{identity.User, "POST", key + "/actions/disable", nil, textNotFound},
		{identity.Operator, "POST", "keys", newKey, ""},
		{identity.Operator, "POST", "encrypt", encrypt, textCryptoNotFound},
		{identity.Auditor, "GET", key, nil, ""},
		{identity.Auditor, "POST", "encrypt", encrypt, textCryptoNotFound},
		{identity.Auditor, "POST", key + "/keyVersions", nil, textNotFound},
	} {
		got := r.call(t, as[tc.role], tc.method, url+tc.path, tc.body)
		if tc.text == "" {
			if got.status != http.StatusOK {
				t.Errorf("%s %s %s: %d %s", tc.role, tc.method, tc.path, got.status, got.body)
			}
			continue
		}
		if got.refusal(t) != "404 NotAuthorizedOrNotFound" || got.message(t) != tc.text || !strings.Contains(got.hint(), "no role that allows") {
			t.Errorf("%s %s %s: %s, hint %q", tc.role, tc.method, tc.path, got.body, got.hint())
		}
	}
}

// Hints are for administrators, unless the server shows them to everybody.
func TestHintsAreForAdministrators(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Hints = false })
	url := r.region.URL + "/20180608/vaults"
	if got := r.call(t, r.Tenant, "GET", url, nil); got.refusal(t) != "400 MissingParameter" || got.hint() == "" {
		t.Errorf("an administrator: %s, hint %q", got.body, got.hint())
	}
	if got := r.call(t, r.principal(t, identity.Auditor), "GET", url, nil); got.refusal(t) != "400 MissingParameter" || got.hint() != "" {
		t.Errorf("an auditor: %s, hint %q", got.body, got.hint())
	}
	s := r.signer(r.Tenant)
	s.key = r.Other.RSAKey
	if got := send(t, s.request(t, r.Clock.Now(), "GET", url, nil, nil)); got.hint() != "" {
		t.Errorf("nobody in particular: hint %q", got.hint())
	}
}

// A key scheduled for later than its vault is in the vault's way.
func TestVaultIsNotDeletedBeforeItsKeys(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	k := r.newKey(t, r.Tenant, "AES", 32)
	vault := r.region.URL + "/20180608/vaults/" + fmt.Sprint(k["vaultId"])
	key := r.vault(r.Tenant) + "/20180608/keys/" + fmt.Sprint(k["id"])
	r.call(t, r.Tenant, "POST", key+"/actions/scheduleDeletion", map[string]any{"timeOfDeletion": r.Clock.Now().Add(9 * keys.Day)}).object(t)
	early := map[string]any{"timeOfDeletion": r.Clock.Now().Add(8 * keys.Day)}
	got := r.call(t, r.Tenant, "POST", vault+"/actions/scheduleDeletion", early)
	if got.refusal(t) != "409 Conflict" || got.message(t) != "The vault holds a key whose deletion is scheduled for a later time" {
		t.Errorf("%s", got.body)
	}
	r.call(t, r.Tenant, "POST", vault+"/actions/scheduleDeletion", map[string]any{"timeOfDeletion": r.Clock.Now().Add(9 * keys.Day)}).object(t)
	// The vault's other keys are pending with it, and back with it; the scheduled one keeps its own.
	r.call(t, r.Tenant, "POST", vault+"/actions/cancelDeletion", nil).object(t)
	if got := r.call(t, r.Tenant, "GET", key, nil).object(t); got["lifecycleState"] != "PENDING_DELETION" {
		t.Errorf("after the vault's return the key is %v", got["lifecycleState"])
	}
}

// A refused HSM key says which two ways out there are; a server with an HSM labels nothing.
func TestProtectionHSM(t *testing.T) {
	t.Parallel()
	body := func(r *rig) map[string]any {
		return map[string]any{"compartmentId": r.Tenant.Names[Name], "displayName": "k", "keyShape": map[string]any{"algorithm": "AES", "length": 32}}
	}
	r := newRig(t, func(c *Config) { c.SoftwareHSM = false })
	got := r.call(t, r.Tenant, "POST", r.vault(r.Tenant)+"/20180608/keys", body(r))
	if got.object(t)["protectionMode"] != "HSM" || got.header.Get(dialect.ProtectionHeader) != "" {
		t.Errorf("%s %v", got.body, got.header)
	}
	refusing := newRigOn(t, kmstest.New(t, kmstest.With(func(c *kms.Config) { c.HSM = kms.RefuseHSM })), nil)
	got = refusing.call(t, refusing.Tenant, "POST", refusing.vault(refusing.Tenant)+"/20180608/keys", body(refusing))
	if got.refusal(t) != "400 InvalidParameter" || !strings.HasSuffix(got.message(t), ": protectionMode") ||
		!strings.Contains(got.hint(), "SOFTWARE") || !strings.Contains(got.hint(), "software-labelled") {
		t.Errorf("%s, hint %q", got.body, got.hint())
	}
}

// A panic or a fault of ours is a generic 500 in Oracle's form, and the server goes on.
func TestFaultsOfOurs(t *testing.T) {
	t.Parallel()
	fault := true
	r := newRig(t, func(c *Config) {
		url := c.VaultURL
		c.VaultURL = func(v *keys.Vault) string {
			if fault {
				panic("secret detail")
			}
			return url(v)
		}
	})
	url := r.region.URL + "/20180608/vaults?compartmentId=" + r.Tenant.Names[Name]
	got := r.call(t, r.Tenant, "GET", url, nil)
	if got.refusal(t) != "500 InternalServerError" || strings.Contains(string(got.body)+got.hint(), "secret") {
		t.Errorf("%s, hint %q", got.body, got.hint())
	}
	fault = false
	if got := r.call(t, r.Tenant, "GET", url, nil); got.status != http.StatusOK {
		t.Errorf("after a fault: %d %s", got.status, got.body)
	}
	// No data call is answered that was not recorded.
	k := r.newKey(t, r.Tenant, "AES", 32)
	r.Audit.Fail(fmt.Errorf("disk full"))
	if got := r.crypto(t, "encrypt", map[string]any{"keyId": k["id"], "plaintext": "aGVsbG8="}).refusal(t); got != "503 ServiceUnavailable" {
		t.Errorf("without an audit log: %s", got)
	}
	r.Audit.Fail(nil)
}

// No answer holds a byte of key material or of another's plaintext; this is the one place where
// a client's own text comes back.
func TestNothingOfTheRequestComesBackInErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	k := r.newKey(t, r.Tenant, "AES", 32)
	secret := strings.Repeat("c2VjcmV0", 800) // longer than allowed
	for _, body := range []string{
		fmt.Sprintf(`{"keyId":%q,"plaintext":%q}`, k["id"], secret),
		fmt.Sprintf(`{"keyId":%q,"plaintext":%q`, k["id"], secret),
		fmt.Sprintf(`{"keyId":%q,"plaintext":{%q:1}}`, k["id"], secret),
	} {
		got := r.crypto(t, "encrypt", body)
		if got.status < 400 || strings.Contains(string(got.body)+got.hint()+got.header.Get(dialect.IgnoredHeader), "c2VjcmV0c2VjcmV0") {
			t.Errorf("%.60s: %s, hint %q", body, got.body, got.hint())
		}
	}
}
