// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// What a vault holds is counted by protection, in all compartments, scheduled things included; what
// is erased, another vault's, or not shown through this API is not.
func TestGetVaultUsage(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	made := r.call(t, r.Tenant, "POST", r.region.URL+"/20180608/vaults", map[string]any{
		"compartmentId": r.Tenant.Names[Name], "displayName": "v", "vaultType": "DEFAULT",
	}).object(t)
	vault, endpoint := made["id"].(string), made["managementEndpoint"].(string)+"/20180608/"
	usage := func() string {
		t.Helper()
		got := r.call(t, r.Tenant, "GET", r.region.URL+"/20180608/vaults/"+vault+"/usage", nil)
		if got.status == http.StatusOK && got.header.Get("Etag") != "" {
			t.Errorf("the counts have the etag %s", got.header.Get("Etag"))
		}
		return string(got.body)
	}
	check := func(when, want string) {
		t.Helper()
		if diff := cmp.Diff(want, strings.TrimSpace(usage())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	check("at first", `{"keyCount":0,"keyVersionCount":0,"softwareKeyCount":0,"softwareKeyVersionCount":0}`)
	create := func(protection, compartment string) string {
		t.Helper()
		return r.call(t, r.Tenant, "POST", endpoint+"keys", map[string]any{
			"compartmentId": compartment, "displayName": "k", "protectionMode": protection, "keyShape": map[string]any{"algorithm": "AES", "length": "16"},
		}).object(t)["id"].(string)
	}
	hard, soft := create("HSM", r.Tenant.Names[Name]), create("SOFTWARE", r.compartment(t, r.Tenant))
	o, ok := parseOCID(vault)
	if !ok {
		t.Fatalf("%s is no OCID", vault)
	}
	r.systemKey(t, kms.NewKey{Vault: o.id, Spec: keys.SM4, Usages: keys.SM4.Usages(), Origin: keys.Generated, Protection: keys.Software})
	r.newKey(t, r.Tenant, "AES", 16) // in another vault
	for _, key := range []string{hard, hard, soft} {
		r.call(t, r.Tenant, "POST", endpoint+"keys/"+key+"/keyVersions", nil).object(t)
	}
	check("two keys", `{"keyCount":1,"keyVersionCount":3,"softwareKeyCount":1,"softwareKeyVersionCount":2}`)
	r.call(t, r.Tenant, "POST", endpoint+"keys/"+hard+"/actions/scheduleDeletion", nil).object(t)
	check("one of them scheduled", `{"keyCount":1,"keyVersionCount":3,"softwareKeyCount":1,"softwareKeyVersionCount":2}`)
	r.Clock.Add(31 * keys.Day)
	if _, err := r.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("one of them erased", `{"keyCount":0,"keyVersionCount":0,"softwareKeyCount":1,"softwareKeyVersionCount":2}`)
	r.call(t, r.Tenant, "POST", r.region.URL+"/20180608/vaults/"+vault+"/actions/scheduleDeletion", nil).object(t)
	check("in a vault that is leaving", `{"keyCount":0,"keyVersionCount":0,"softwareKeyCount":1,"softwareKeyVersionCount":2}`)
	r.Clock.Add(31 * keys.Day)
	check("in a vault that is gone and not yet swept", `{"keyCount":0,"keyVersionCount":0,"softwareKeyCount":0,"softwareKeyVersionCount":0}`)
	if got := r.call(t, r.Other, "GET", r.region.URL+"/20180608/vaults/"+vault+"/usage", nil).refusal(t); got != "404 NotAuthorizedOrNotFound" {
		t.Errorf("another tenancy's: %s", got)
	}
}

// A vault is registered for a fleet where the server asks clients for certificates, and nowhere else.
func TestUpdateRegisteredVaultForMtls(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.MutualTLS = true })
	url := r.region.URL + "/20180608/vaults/" + r.vaultName(r.Tenant)
	before := r.call(t, r.Tenant, "GET", url, nil)
	register := func(fleet, etag string) reply {
		return r.call(t, r.Tenant, "PUT", url+"/updateRegisteredVaultForMtls", map[string]any{"fleetId": fleet}, "If-Match", etag)
	}
	first := register("fleet-1", before.header.Get("Etag"))
	host := strings.TrimPrefix(r.vault(r.Tenant), "http://")
	want := map[string]any{"fleetId": "fleet-1", "mtlsCryptoDns": host, "status": "CREATED"}
	if diff := cmp.Diff(want, first.object(t)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	etag := first.header.Get("Etag")
	if now := r.call(t, r.Tenant, "GET", url, nil).header.Get("Etag"); etag == "" || etag == before.header.Get("Etag") || etag != now {
		t.Errorf("etag %q, the vault's is %q and was %q", etag, now, before.header.Get("Etag"))
	}
	if got := register("fleet-2", before.header.Get("Etag")).refusal(t); got != "412 NoEtagMatch" {
		t.Errorf("with a stale etag: %s", got)
	}
	if got := register("fleet-2", "").object(t)["fleetId"]; got != "fleet-2" {
		t.Errorf("another fleet: %v", got)
	}
	r.call(t, r.Tenant, "POST", url+"/actions/scheduleDeletion", nil).object(t)
	if got := register("fleet-3", "").refusal(t); got != "409 Conflict" {
		t.Errorf("in a vault that is leaving: %s", got)
	}

	plain := newRigOn(t, kmstest.New(t), nil)
	url = plain.region.URL + "/20180608/vaults/" + plain.vaultName(plain.Tenant) + "/updateRegisteredVaultForMtls"
	got := plain.call(t, plain.Tenant, "PUT", url, map[string]any{"fleetId": "f"})
	if got.refusal(t) != "400 InvalidParameter" || got.message(t) != "The vault does not support the request: fleetId" || !strings.Contains(got.hint(), "client_ca_file") {
		t.Errorf("without mutual TLS: %d %s %s", got.status, got.body, got.hint())
	}
	if got := plain.call(t, plain.Other, "PUT", url, map[string]any{"fleetId": "f"}).refusal(t); got != "404 NotAuthorizedOrNotFound" {
		t.Errorf("another tenancy's: %s", got)
	}
}

// Values of defined tags may be numbers and booleans: they are kept as their texts.
func TestDefinedTagsOfOtherTypes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	url := r.region.URL + "/20180608/vaults/" + r.vaultName(r.Tenant)
	got := r.call(t, r.Tenant, "PUT", url, `{"definedTags":{"n":{"a":"x","b": 1.50e3 ,"c":-0,"d":true,"e": false}}}`).object(t)
	want := map[string]any{"n": map[string]any{"a": "x", "b": "1.50e3", "c": "-0", "d": "true", "e": "false"}}
	if diff := cmp.Diff(want, got["definedTags"]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
