// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"flag"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"claviger/internal/keys"
)

//go:generate go test -run TestCoveragePageIsCurrent -update .

var update = flag.Bool("update", false, "write docs/coverage-oci.md from the table of operations")

func TestCoveragePageIsCurrent(t *testing.T) {
	t.Parallel()
	const page = "../../../docs/coverage-oci.md"
	want := Coverage()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the table says (%v): run make generate", page, err)
	}
}

// The counts are those of Oracle's Go SDK v65.
func TestEveryDocumentedOperationHasARow(t *testing.T) {
	t.Parallel()
	want := map[string][2]int{ // rows, of which supported
		"Vault service (KmsVaultClient)":               {15, 15},
		"Management endpoint (KmsManagementClient)":    {21, 21},
		"Crypto endpoint (KmsCryptoClient)":            {6, 6},
		"External key managers (EkmClient)":            {5, 0},
		"Dedicated HSM clusters (KmsHsmClusterClient)": {16, 0},
		"Work requests (WorkRequestClient, 20160918)":  {4, 4},
	}
	names := map[string]bool{}
	for _, s := range (&Dialect{}).sections() {
		supported := 0
		for _, op := range s.operations {
			if names[op.Name] {
				t.Errorf("%s is there twice", op.Name)
			}
			names[op.Name] = true
			if op.Gap == "" {
				supported++
			}
		}
		if got := [2]int{len(s.operations), supported}; got != want[s.name] {
			t.Errorf("%s has %v rows, want %v", s.name, got, want[s.name])
		}
	}
}

func table() []operation {
	var out []operation
	for _, s := range (&Dialect{}).sections() {
		out = append(out, s.operations...)
	}
	return out
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	rt := newRouter(table())
	fill := strings.NewReplacer("{vaultId}", "a", "{keyId}", "b", "{keyVersionId}", "c", "{replicationId}", "d",
		"{ekmsPrivateEndpointId}", "e", "{hsmClusterId}", "f", "{hsmPartitionId}", "g", "{workRequestId}", "h")
	for _, op := range table() {
		method, path, _ := strings.Cut(fill.Replace(op.Route), " ")
		for _, target := range []string{path, "/" + path, path + "?x=/y"} {
			m, err := rt.find(newRequest(method, target))
			if err != nil || m.op.Name != op.Name {
				t.Errorf("%s %s: %v, want %s", method, target, err, op.Name)
			}
		}
	}
	for _, tc := range []struct {
		method, target string
		kind           keys.Kind
		name           string
		params         [2]string
	}{
		{"POST", "/20180608/keys/import", "", "ImportKey", [2]string{}},
		{"GET", "/20180608/keys/import", "", "GetKey", [2]string{"import"}},
		{"GET", "/20180608/keys/a%2Fb", "", "GetKey", [2]string{"a/b"}},
		{"GET", "/20180608/keys/k/keyVersions/v", "", "GetKeyVersion", [2]string{"k", "v"}},
		{"POST", "/20180608/vaults/actions/restoreFromFile", "", "RestoreVaultFromFile", [2]string{}},
		{"DELETE", "/20180608/keys/a", keys.KindNotImplemented, "", [2]string{}},
		{"GET", "/20180608/encrypt", keys.KindNotImplemented, "", [2]string{}},
		{"GET", "/20180608/keys/", keys.KindNotFound, "", [2]string{}},
		{"GET", "/20180608/keys/a/", keys.KindNotFound, "", [2]string{}},
		{"GET", "/20180608/keys//keyVersions", keys.KindNotFound, "", [2]string{}},
		{"GET", "///20180608/keys/a", keys.KindNotFound, "", [2]string{}},
		{"GET", "/20180608/Keys/a", keys.KindNotFound, "", [2]string{}},
		{"GET", "/20160918/keys/a", keys.KindNotFound, "", [2]string{}},
		{"GET", "/20180608/keys/../keys/a", keys.KindNotFound, "", [2]string{}},
		{"GET", "/", keys.KindNotFound, "", [2]string{}},
		{"GET", "//", keys.KindNotFound, "", [2]string{}},
	} {
		m, err := rt.find(newRequest(tc.method, tc.target))
		if tc.kind != "" {
			if !keys.IsKind(err, tc.kind) {
				t.Errorf("%s %s: %v, want %s", tc.method, tc.target, err, tc.kind)
			}
			continue
		}
		if err != nil || m.op.Name != tc.name || m.params != tc.params {
			t.Errorf("%s %s: %+v %v, want %s %v", tc.method, tc.target, m, err, tc.name, tc.params)
		}
	}
}

func newRequest(method, target string) *http.Request {
	return &http.Request{Method: method, RequestURI: target, URL: &url.URL{Path: target}}
}

// What is documented and not there says so, with the right to it checked first.
func TestUnsupportedOperationsAnswer501(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, op := range table() {
		if op.Gap == "" {
			continue
		}
		base := r.region.URL
		if op.on.inVault() {
			base = r.vault(r.Tenant)
		}
		method, path, _ := strings.Cut(op.Route, " ")
		got := r.call(t, r.Tenant, method, base+strings.NewReplacer("{", "", "}", "").Replace(path), nil)
		if got.refusal(t) != "501 MethodNotImplemented" || !strings.Contains(got.hint(), op.Gap) {
			t.Errorf("%s: %d %s, hint %q", op.Name, got.status, got.body, got.hint())
		}
		q, err := http.NewRequestWithContext(t.Context(), method, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := send(t, q).refusal(t); got != "401 NotAuthenticated" {
			t.Errorf("%s without a signature: %s", op.Name, got)
		}
	}
}

// Vaults are at regions, keys at vaults, and never the other way around.
func TestOperationsAnswerOnTheirEndpointOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, op := range table() {
		base := r.vault(r.Tenant)
		if op.on.inVault() {
			base = r.region.URL
		}
		method, path, _ := strings.Cut(op.Route, " ")
		got := r.call(t, r.Tenant, method, base+strings.NewReplacer("{", "", "}", "").Replace(path), nil)
		if got.refusal(t) != "404 NotAuthorizedOrNotFound" || !strings.Contains(got.hint(), "endpoint") {
			t.Errorf("%s: %d %s, hint %q", op.Name, got.status, got.body, got.hint())
		}
	}
}

// The last column and the header sets of Oracle's documentation.
func TestClassesAndHeaders(t *testing.T) {
	t.Parallel()
	for _, op := range table() {
		if op.Gap != "" {
			continue
		}
		method, path, _ := strings.Cut(op.Route, " ")
		wantClass := mgmtWrite
		switch {
		case op.on == onCrypto, op.Name == "GetReplicationStatus", op.Name == "GetWrappingKey", op.Name == "GetVaultUsage",
			op.Name == "UpdateRegisteredVaultForMtls", strings.HasPrefix(op.Name, "ImportKey"),
			strings.Contains(path, "restoreFrom"), strings.HasSuffix(path, "backup"): // none is stated
			wantClass = unlimited
		case op.Name == "ListVaultReplicas": // a GET that Oracle counts among the writes
			wantClass = provWrite
		case method == "GET" && op.on == onRegion:
			wantClass = provRead
		case method == "GET":
			wantClass = mgmtRead
		case op.on == onRegion, strings.HasSuffix(path, "Deletion"), strings.HasSuffix(path, "changeCompartment"):
			wantClass = provWrite
		}
		if op.Class != wantClass {
			t.Errorf("%s has class %q, want %q", op.Name, op.Class, wantClass)
		}
		wantHeaders := none
		switch {
		case op.Name == "ListVaultReplicas":
			wantHeaders = both
		case op.on == onCrypto, method == "GET":
		case method == "PUT":
			wantHeaders = ifMatch
		case slices.Contains([]string{"CreateVault", "CreateKey", "CreateKeyVersion", "ImportKey", "ImportKeyVersion"}, op.Name):
			wantHeaders = retryToken
		default:
			wantHeaders = both
		}
		if op.headers != wantHeaders {
			t.Errorf("%s takes headers %b, want %b", op.Name, op.headers, wantHeaders)
		}
	}
}
