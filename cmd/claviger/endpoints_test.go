// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/server"
)

// TestEndpointsMatch goes from one set of vaults and replicas to another, as a reset does. An endpoint that
// both have, for two vaults, must change hands.
func TestEndpointsMatch(t *testing.T) {
	t.Parallel()
	hosts := server.NewHosts("https://{vault}.example.org", "{vault}")
	e := newVaultEndpoints(hosts)
	e.handler = func(v *keys.Vault) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, v.Name) })
	}
	e.replicaHandler = func(r *keys.Replica) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "replica in "+string(r.Region)) })
	}
	replica := func(id byte, region, endpoint string) *keys.Replica {
		return &keys.Replica{ID: keys.ID{id}, Region: keys.Region(region), Endpoint: endpoint}
	}
	vault := func(id byte, name, endpoint string) *keys.Vault {
		return &keys.Vault{ID: keys.ID{id}, Name: name, Endpoint: endpoint}
	}
	answers := func() map[string]string {
		out := map[string]string{}
		for _, endpoint := range e.Held() {
			w := httptest.NewRecorder()
			if h := hosts.Handler(endpoint + ".example.org"); h != nil {
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			}
			out[endpoint] = w.Body.String()
		}
		return out
	}
	reserved, err := e.Reserve("a-vault-that-is-just-being-made")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		vaults   []*keys.Vault
		replicas []*keys.Replica
		want     map[string]string
	}{
		{[]*keys.Vault{vault(1, "one", "a"), vault(2, "two", "b")}, []*keys.Replica{replica(5, "away", "d")}, map[string]string{"a": "one", "b": "two", "d": "replica in away"}},
		{[]*keys.Vault{vault(1, "one", "a"), vault(3, "three", "b"), vault(4, "four", "d")}, []*keys.Replica{replica(6, "here", "c")}, map[string]string{"a": "one", "b": "three", "c": "replica in here", "d": "four"}},
		{[]*keys.Vault{vault(2, "two", "b")}, nil, map[string]string{"b": "two"}},
		{nil, nil, map[string]string{}},
	} {
		if err := e.match(e.sites(step.vaults, step.replicas)); err != nil {
			t.Fatal(err)
		}
		step.want[reserved] = ""
		if diff := cmp.Diff(step.want, answers()); diff != "" {
			t.Errorf("who answers where (-want +got):\n%s", diff)
		}
	}
	endpointsOf{e}.Release(reserved)
	if slices.Contains(e.Held(), reserved) {
		t.Error("a released endpoint is still held")
	}
}
