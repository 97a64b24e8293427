// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// twoRegions is a rig with a second region, at whose base URL the vault service answers too.
func twoRegions(t *testing.T, change func(*Config)) (r *rig, away string) {
	t.Helper()
	r = newRigOn(t, kmstest.New(t, kmstest.TwoRegions()), change)
	s := httptest.NewServer(r.dialect.RegionHandler(kmstest.Away))
	t.Cleanup(s.Close)
	return r, s.URL + "/20180608/vaults/"
}

// vaultName is the OCID of a tenant's default vault.
func (r *rig) vaultName(tenant kmstest.Tenant) string {
	return r.dialect.Namer().VaultName(&keys.Vault{ID: tenant.Vault, Region: kmstest.Region})
}

// replicate gives the first tenant's vault a replica and answers what the list says of it.
func (r *rig) replicate(t testing.TB) map[string]any {
	t.Helper()
	vault := r.region.URL + "/20180608/vaults/" + r.vaultName(r.Tenant)
	made := r.call(t, r.Tenant, "POST", vault+"/actions/createReplica", map[string]any{"replicaRegion": awayRegion})
	if made.status != http.StatusOK || len(made.body) != 0 || made.header.Get("Content-Type") != "" || made.header.Get("Etag") != "" {
		t.Fatalf("CreateVaultReplica: %d %s %v", made.status, made.body, made.header)
	}
	work := r.call(t, r.Tenant, "GET", r.region.URL+"/20160918/workRequests/"+made.header.Get("Opc-Work-Request-Id"), nil).object(t)
	if work["status"] != "SUCCEEDED" || work["operationType"] != "CREATE_VAULT_REPLICA" || work["percentComplete"] != 100.0 {
		t.Errorf("its work request: %v", work)
	}
	listed := r.call(t, r.Tenant, "GET", vault+"/actions/listReplicas", nil)
	all := listed.array(t)
	if len(all) != 1 {
		t.Fatalf("replicas: %s", listed.body)
	}
	if got := r.call(t, r.Tenant, "GET", vault, nil); got.header.Get("Etag") != listed.header.Get("Etag") || listed.header.Get("Opc-Next-Page") != "" {
		t.Errorf("the list has the etag %q, the vault %q", listed.header.Get("Etag"), got.header.Get("Etag"))
	}
	return all[0]
}

// A vault, its keys and versions through its replica: the same names, another endpoint, and no
// way to change anything.
func TestReplica(t *testing.T) {
	t.Parallel()
	r, away := twoRegions(t, nil)
	vault := r.vaultName(r.Tenant)
	home := r.region.URL + "/20180608/vaults/"
	key := r.newKey(t, r.Tenant, "AES", 32)
	if key["replicaDetails"] != nil || key["isPrimary"] != true {
		t.Errorf("before there is a replica: %v %v", key["replicaDetails"], key["isPrimary"])
	}
	if got := r.call(t, r.Tenant, "GET", away+vault, nil).refusal(t); got != "404 NotAuthorizedOrNotFound" {
		t.Errorf("GetVault away before there is a replica: %s", got)
	}
	replica := r.replicate(t)
	url := replica["managementEndpoint"].(string) + "/20180608/"
	if replica["region"] != awayRegion || replica["status"] != "CREATED" || replica["cryptoEndpoint"] != replica["managementEndpoint"] {
		t.Errorf("the replica: %v", replica)
	}

	// The differences between home and away.
	mine, others := r.call(t, r.Tenant, "GET", home+vault, nil).object(t), r.call(t, r.Tenant, "GET", away+vault, nil).object(t)
	if others["isPrimary"] != false || mine["isPrimary"] != true || others["managementEndpoint"] != replica["managementEndpoint"] || mine["isVaultReplicable"] != true {
		t.Errorf("away the vault is %v", others)
	}
	for _, field := range []string{"isPrimary", "managementEndpoint", "cryptoEndpoint"} {
		delete(mine, field)
		delete(others, field)
	}
	if diff := cmp.Diff(mine, others); diff != "" || mine["replicaDetails"] == nil {
		t.Errorf("the vault (-home +away):\n%s", diff)
	}
	listed := r.call(t, r.Tenant, "GET", away[:len(away)-1]+"?compartmentId="+r.Tenant.Names[Name], nil).array(t)
	if len(listed) != 2 || listed[1]["id"] != vault && listed[0]["id"] != vault {
		t.Errorf("vaults listed away: %v", listed)
	}
	same := func(path string) {
		t.Helper()
		at := func(base string) map[string]any { return r.call(t, r.Tenant, "GET", base+path, nil).object(t) }
		mine, others := at(r.vault(r.Tenant)+"/20180608/"), at(url)
		if mine["isPrimary"] != true || others["isPrimary"] != false {
			t.Errorf("%s: isPrimary %v at home, %v away", path, mine["isPrimary"], others["isPrimary"])
		}
		delete(mine, "isPrimary")
		delete(others, "isPrimary")
		if diff := cmp.Diff(mine, others); diff != "" {
			t.Errorf("%s (-home +away):\n%s", path, diff)
		}
		details, _ := mine["replicaDetails"].(map[string]any)
		id, _ := details["replicationId"].(string)
		for _, base := range []string{r.vault(r.Tenant) + "/20180608/", url} {
			got := r.call(t, r.Tenant, "GET", base+"replicaOperations/"+id+"/status", nil)
			want := map[string]any{"replicaDetails": []any{map[string]any{"region": awayRegion, "status": "REPLICATED"}}}
			if diff := cmp.Diff(want, got.object(t)); diff != "" || got.header.Get("Etag") == "" {
				t.Errorf("replication %q of %s (-want +got):\n%s", id, path, diff)
			}
		}
	}
	same("keys/" + key["id"].(string))
	same("keys/" + key["id"].(string) + "/keyVersions/" + key["currentKeyVersion"].(string))
	wrapping := r.call(t, r.Tenant, "GET", url+"wrappingKeys", nil).object(t)
	if diff := cmp.Diff(r.call(t, r.Tenant, "GET", r.vault(r.Tenant)+"/20180608/wrappingKeys", nil).object(t), wrapping); diff != "" {
		t.Errorf("the wrapping key (-home +away):\n%s", diff)
	}
	if all := r.call(t, r.Tenant, "GET", url+"keys?compartmentId="+r.Tenant.Names[Name], nil).array(t); len(all) != 1 || all[0]["id"] != key["id"] {
		t.Errorf("keys listed away: %v", all)
	}

	// What either encrypts, the other decrypts.
	for from, to := range map[string]string{url: r.vault(r.Tenant) + "/20180608/", r.vault(r.Tenant) + "/20180608/": url} {
		sealed := r.call(t, r.Tenant, "POST", from+"encrypt", map[string]any{"keyId": key["id"], "plaintext": "aGVsbG8="}).object(t)
		opened := r.call(t, r.Tenant, "POST", to+"decrypt", map[string]any{"keyId": key["id"], "ciphertext": sealed["ciphertext"]}).object(t)
		if opened["plaintext"] != "aGVsbG8=" {
			t.Errorf("decrypted %v", opened)
		}
	}
	r.readOnly(t, url, away, vault, key)

	// An event of a call through the replica says so.
	for _, ev := range r.Audit.Events() {
		if ev.Operation == "Decrypt" && ev.Region == kmstest.Away && ev.Vault == r.Tenant.Vault {
			return
		}
	}
	t.Error("no event of Decrypt names the replica's region")
}

// readOnly calls everything that changes something.
func (r *rig) readOnly(t *testing.T, url, away, vault string, key map[string]any) {
	t.Helper()
	k := "keys/" + key["id"].(string)
	version := k + "/keyVersions/" + key["currentKeyVersion"].(string)
	newKey := map[string]any{"compartmentId": r.Tenant.Names[Name], "displayName": "k", "keyShape": map[string]any{"algorithm": "AES", "length": 32}}
	move := map[string]any{"compartmentId": r.Tenant.Names[Name]}
	region := map[string]any{"replicaRegion": testRegion}
	wrapped := map[string]any{"wrappedImportKey": map[string]any{"keyMaterial": "AAAA", "wrappingAlgorithm": "RSA_OAEP_SHA256"}}
	location := map[string]any{"backupLocation": map[string]any{"destination": "BUCKET", "namespace": "n", "bucketName": "b", "objectName": "o"}}
	imported := map[string]any{"wrappedImportKey": wrapped["wrappedImportKey"]}
	maps.Copy(imported, newKey)
	for _, tc := range []struct {
		method, url string
		body        any
	}{
		{"POST", url + "keys", newKey},
		{"POST", url + "keys/import", imported},
		{"PUT", url + k, map[string]any{}},
		{"POST", url + k + "/actions/disable", nil},
		{"POST", url + k + "/actions/enable", nil},
		{"POST", url + k + "/actions/scheduleDeletion", nil},
		{"POST", url + k + "/actions/cancelDeletion", nil},
		{"POST", url + k + "/actions/changeCompartment", move},
		{"POST", url + k + "/actions/backup", location},
		{"POST", url + "keys/actions/restoreFromObjectStore", location},
		{"POST", url + k + "/keyVersions", nil},
		{"POST", url + k + "/keyVersions/import", wrapped},
		{"POST", url + version + "/actions/scheduleDeletion", nil},
		{"POST", url + version + "/actions/cancelDeletion", nil},
		{"PUT", away + vault, map[string]any{}},
		{"POST", away + vault + "/actions/scheduleDeletion", nil},
		{"POST", away + vault + "/actions/cancelDeletion", nil},
		{"POST", away + vault + "/actions/changeCompartment", move},
		{"POST", away + vault + "/actions/backup", location},
		{"POST", away + vault + "/actions/createReplica", region},
		{"POST", away + vault + "/actions/deleteReplica", map[string]any{"replicaRegion": awayRegion}},
	} {
		got := r.call(t, r.Tenant, tc.method, tc.url, tc.body)
		if got.refusal(t) != "403 NotAllowed" || !strings.Contains(got.hint(), "own region") {
			t.Errorf("%s %s: %d %s, hint %q", tc.method, tc.url, got.status, got.body, got.hint())
		}
		if got := r.call(t, r.Other, tc.method, tc.url, tc.body).refusal(t); got != "404 NotAuthorizedOrNotFound" {
			t.Errorf("%s %s by another tenant: %s", tc.method, tc.url, got)
		}
	}
}

// What replicas are refused, and how they end.
func TestReplicasThatAreRefused(t *testing.T) {
	t.Parallel()
	third := func(c *kms.Config) { c.Regions = []keys.Region{kmstest.Region, kmstest.Away, "third"} }
	r := newRigOn(t, kmstest.New(t, kmstest.With(third)), func(c *Config) { c.Regions["third"] = "sa-saopaulo-1" })
	vault := r.region.URL + "/20180608/vaults/" + r.vaultName(r.Tenant)
	replica := r.replicate(t)
	etag := r.call(t, r.Tenant, "GET", vault, nil).header.Get("Etag")
	for _, tc := range []struct {
		name, action, want string
		body               map[string]any
		header             []string
	}{
		{"again where it is", "createReplica", "", map[string]any{"replicaRegion": awayRegion}, nil},
		{"with the vault's etag", "createReplica", "", map[string]any{"replicaRegion": awayRegion}, []string{"If-Match", etag}},
		{"with a wrong etag", "createReplica", "412 NoEtagMatch", map[string]any{"replicaRegion": awayRegion}, []string{"If-Match", "x"}},
		{"elsewhere", "createReplica", "409 Conflict", map[string]any{"replicaRegion": "sa-saopaulo-1"}, nil},
		{"at home", "createReplica", "400 InvalidParameter", map[string]any{"replicaRegion": testRegion}, nil},
		{"in no region", "createReplica", "400 InvalidParameter", map[string]any{"replicaRegion": "eu-nowhere-1"}, nil},
		{"of an external key manager", "createReplica", "400 InvalidParameter", map[string]any{
			"replicaRegion": awayRegion, "replicaVaultMetadata": map[string]any{"vaultType": "EXTERNAL", "privateEndpointId": "x", "idcsAccountNameUrl": "y"},
		}, nil},
		{"deleted elsewhere", "deleteReplica", "404 NotAuthorizedOrNotFound", map[string]any{"replicaRegion": "sa-saopaulo-1"}, nil},
		{"deleted in no region", "deleteReplica", "404 NotAuthorizedOrNotFound", map[string]any{"replicaRegion": "eu-nowhere-1"}, nil},
		{"deleted with a wrong etag", "deleteReplica", "412 NoEtagMatch", map[string]any{"replicaRegion": awayRegion}, []string{"If-Match", "x"}},
	} {
		got := r.call(t, r.Tenant, "POST", vault+"/actions/"+tc.action, tc.body, tc.header...)
		if tc.want == "" {
			if got.status != http.StatusOK || got.header.Get("Opc-Work-Request-Id") == "" {
				t.Errorf("%s: %d %s", tc.name, got.status, got.body)
			}
		} else if got.refusal(t) != tc.want {
			t.Errorf("%s: %d %s, want %s", tc.name, got.status, got.body, tc.want)
		}
	}
	if got := r.call(t, r.Tenant, "GET", vault+"/actions/listReplicas?page=x", nil).refusal(t); got != "400 InvalidParameter" {
		t.Errorf("a page that there is not: %s", got)
	}
	if got := r.call(t, r.Tenant, "GET", vault+"/actions/listReplicas", nil, "If-Match", "x").refusal(t); got != "412 NoEtagMatch" {
		t.Errorf("a list with a wrong etag: %s", got)
	}
	key := r.newKey(t, r.Tenant, "AES", 32)
	url := replica["cryptoEndpoint"].(string) + "/20180608/"
	for _, id := range []string{"x", strings.Repeat("x", 4000), "00000000-0000-0000-0000-000000000001", key["id"].(string), "%00"} {
		if got := r.call(t, r.Tenant, "GET", url+"replicaOperations/"+id+"/status", nil).refusal(t); got != "404 NotAuthorizedOrNotFound" {
			t.Errorf("replication %.40s: %s", id, got)
		}
	}

	// A retry token is answered the same, and then the replica is gone for every caller.
	remove := func() reply {
		return r.call(t, r.Tenant, "POST", vault+"/actions/deleteReplica", map[string]any{"replicaRegion": awayRegion}, "Opc-Retry-Token", "t")
	}
	first, again := remove(), remove()
	if first.status != http.StatusOK || again.status != http.StatusOK || first.header.Get("Opc-Work-Request-Id") != again.header.Get("Opc-Work-Request-Id") {
		t.Errorf("deletion: %d %s, and again: %d %s", first.status, first.body, again.status, again.body)
	}
	if all := r.call(t, r.Tenant, "GET", vault+"/actions/listReplicas", nil).array(t); len(all) != 0 {
		t.Errorf("replicas that are left: %v", all)
	}
	for path, body := range map[string]any{"encrypt": map[string]any{"keyId": key["id"], "plaintext": "aGVsbG8="}, "keys/" + key["id"].(string): nil} {
		method := "POST"
		if body == nil {
			method = "GET"
		}
		if got := r.call(t, r.Tenant, method, url+path, body).refusal(t); got != "404 NotAuthorizedOrNotFound" {
			t.Errorf("%s at the endpoint of the replica that was: %s", path, got)
		}
	}
	if got := r.call(t, r.Tenant, "GET", r.vault(r.Tenant)+"/20180608/keys/"+key["id"].(string), nil).object(t); got["replicaDetails"] != nil {
		t.Errorf("replicaDetails after the replica is gone: %v", got["replicaDetails"])
	}
}
