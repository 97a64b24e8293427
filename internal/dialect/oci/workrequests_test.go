// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// workRequests stores one work request of each status about a tenant's key, a second apart.
func (r *rig) workRequests(t *testing.T, of kmstest.Tenant, key string) (out []*keys.WorkRequest) {
	t.Helper()
	_, k, _ := ParseName(key)
	at := r.Clock.Now()
	for i, status := range []keys.WorkStatus{keys.WorkAccepted, keys.WorkInProgress, keys.WorkSucceeded, keys.WorkFailed} {
		w := &keys.WorkRequest{
			ID: keys.ID{byte(i + 1), of.ID[0], of.ID[1]}, Tenant: of.ID, Compartment: of.ID, Vault: of.Vault, Region: kmstest.Region,
			Action: keys.RestoreKeyBackup, Status: status, Percent: 10 * i, CreatedAt: at.Add(time.Duration(i) * time.Second),
			Resources: []keys.WorkResource{
				{Type: keys.TypeKey, ID: k, Vault: of.Vault, Region: kmstest.Region, Effect: keys.WorkCreated},
				{Type: keys.TypeVault, ID: of.Vault, Vault: of.Vault, Region: kmstest.Region, Effect: keys.WorkRelated},
			},
		}
		if i > 0 {
			w.StartedAt = w.CreatedAt.Add(time.Millisecond)
			w.Logs = []keys.WorkNote{{At: w.StartedAt, Text: "first"}, {At: w.StartedAt, Text: "second"}}
		}
		if i > 1 {
			w.FinishedAt = w.CreatedAt.Add(2 * time.Millisecond)
		}
		if status == keys.WorkFailed {
			w.Errors = []keys.WorkNote{{At: w.FinishedAt, Kind: keys.KindInvalid, Field: "name", Text: "too long for the wall"}}
		}
		if _, err := r.Store.Update(t.Context(), func(tx store.Tx) error { return tx.Put(w) }); err != nil {
			t.Fatal(err)
		}
		out = append(out, w)
	}
	return out
}

func (p reply) array(t testing.TB) (out []map[string]any) {
	t.Helper()
	if err := json.Unmarshal(p.body, &out); p.status != http.StatusOK || err != nil {
		t.Fatalf("answer %d %s: %v", p.status, p.body, err)
	}
	return out
}

func TestWorkRequestModels(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	key := fmt.Sprint(r.newKey(t, r.Tenant, "AES", 32)["id"])
	rows := r.workRequests(t, r.Tenant, key)
	vault := r.dialect.namer.vaultName(kmstest.Region, r.Tenant.Vault)
	base := r.region.URL + "/20160918/workRequests"
	at := func(t time.Time) any { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
	orNull := func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		return at(t)
	}
	for i, effect := range []string{"IN_PROGRESS", "IN_PROGRESS", "CREATED", "RELATED"} {
		w := rows[i]
		name := r.dialect.namer.WorkRequestName(w)
		if !strings.HasPrefix(name, "ocid1.workrequest.oc1.iad.") {
			t.Errorf("the OCID is %s", name)
		}
		summary := map[string]any{
			"id": name, "operationType": "RESTORE_KEY", "status": string(w.Status), "compartmentId": r.Tenant.Names[Name],
			"percentComplete": float64(10 * i), "timeAccepted": at(w.CreatedAt), "timeStarted": orNull(w.StartedAt), "timeFinished": orNull(w.FinishedAt),
		}
		list := r.call(t, r.Tenant, "GET", base+"?compartmentId="+r.Tenant.Names[Name], nil).array(t)
		if diff := cmp.Diff(summary, list[len(list)-1-i]); diff != "" {
			t.Errorf("summary of %s (-want +got):\n%s", w.Status, diff)
		}
		summary["resources"] = []any{
			map[string]any{"entityType": "key", "actionType": effect, "identifier": key, "entityUri": "/20180608/keys/" + key},
			map[string]any{"entityType": "vault", "actionType": "RELATED", "identifier": vault, "entityUri": "/20180608/vaults/" + vault},
		}
		if diff := cmp.Diff(summary, r.call(t, r.Tenant, "GET", base+"/"+name, nil).object(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", w.Status, diff)
		}
	}
	failed := base + "/" + r.dialect.namer.WorkRequestName(rows[3])
	wantError := []map[string]any{{
		"code": "InvalidParameter", "message": "A parameter has a value that is not allowed: displayName: too long for the wall",
		"timestamp": at(rows[3].FinishedAt),
	}}
	if diff := cmp.Diff(wantError, r.call(t, r.Tenant, "GET", failed+"/errors", nil).array(t)); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	logs := r.call(t, r.Tenant, "GET", failed+"/logs?sortOrder=DESC&limit=1", nil)
	if list := logs.array(t); len(list) != 1 || list[0]["message"] != "second" || list[0]["timestamp"] != at(rows[3].StartedAt) {
		t.Errorf("the last log entry is %v", list)
	}
	rest := r.call(t, r.Tenant, "GET", failed+"/logs?sortOrder=DESC&limit=1&page="+logs.header.Get("Opc-Next-Page"), nil)
	if list := rest.array(t); len(list) != 1 || list[0]["message"] != "first" || rest.header.Get("Opc-Next-Page") != "" {
		t.Errorf("the log entry before it is %v, next page %q", list, rest.header.Get("Opc-Next-Page"))
	}
	none := r.call(t, r.Tenant, "GET", base+"/"+r.dialect.namer.WorkRequestName(rows[0])+"/errors", nil)
	if list := none.array(t); list == nil || len(list) != 0 {
		t.Errorf("no errors are %s", none.body)
	}
}

func TestWorkRequestLists(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	key := fmt.Sprint(r.newKey(t, r.Tenant, "AES", 32)["id"])
	rows := r.workRequests(t, r.Tenant, key)
	base := r.region.URL + "/20160918/workRequests?compartmentId="
	root := base + r.Tenant.Names[Name]
	for query, want := range map[string]int{
		root: 4, root + "&resourceId=" + key: 4, root + "&resourceId=" + r.dialect.namer.vaultName(kmstest.Region, r.Tenant.Vault): 4,
		root + "&resourceId=" + r.Tenant.Names[Name]: 0, root + "&resourceId=x": 0,
		root + "&resourceId=" + r.dialect.namer.vaultName(kmstest.Region, keys.ID{7}): 0,
		base + r.compartment(t, r.Tenant):                                             0,
	} {
		if list := r.call(t, r.Tenant, "GET", query, nil).array(t); len(list) != want {
			t.Errorf("%s lists %d, want %d", query, len(list), want)
		}
	}
	seen, page := []string{}, ""
	for {
		got := r.call(t, r.Tenant, "GET", root+"&limit=3"+page, nil)
		for _, w := range got.array(t) {
			seen = append(seen, fmt.Sprint(w["status"]))
		}
		next := got.header.Get("Opc-Next-Page")
		if next == "" {
			break
		}
		page = "&page=" + next
	}
	if diff := cmp.Diff([]string{"FAILED", "SUCCEEDED", "IN_PROGRESS", "ACCEPTED"}, seen); diff != "" {
		t.Errorf("page by page (-want +got):\n%s", diff)
	}
	for query, want := range map[string]string{
		strings.TrimSuffix(base, "?compartmentId="): "400 MissingParameter",
		root + "&limit=0":                              "400 InvalidParameter",
		root + "&page=nonsense":                        "400 InvalidParameter",
		base + "ocid1.compartment.oc1..none":           "404 NotAuthorizedOrNotFound",
		r.region.URL + "/20160918/workRequests/x":      "404 NotAuthorizedOrNotFound",
		r.region.URL + "/20160918/workRequests/" + key: "404 NotAuthorizedOrNotFound",
		r.region.URL + "/20160918/workRequests/" + r.dialect.namer.WorkRequestName(&keys.WorkRequest{ID: rows[0].ID, Region: "elsewhere"}): "404 NotAuthorizedOrNotFound",
	} {
		if got := r.call(t, r.Tenant, "GET", query, nil).refusal(t); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// Everybody of the tenant may look, nobody else; only administrators are told more than the
// table of errors says, where hints are not for all.
func TestWhoSeesWorkRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Hints = false })
	rows := r.workRequests(t, r.Tenant, fmt.Sprint(r.newKey(t, r.Tenant, "AES", 32)["id"]))
	url := r.region.URL + "/20160918/workRequests/" + r.dialect.namer.WorkRequestName(rows[3])
	for _, path := range []string{"", "/errors", "/logs"} {
		if got := r.call(t, r.Other, "GET", url+path, nil).refusal(t); got != "404 NotAuthorizedOrNotFound" {
			t.Errorf("%q by another tenant: %s", path, got)
		}
	}
	for who, told := range map[*kmstest.Tenant]bool{&r.Tenant: true, new(r.principal(t, identity.User)): false} {
		list := r.call(t, *who, "GET", url+"/errors", nil).array(t)
		if strings.Contains(fmt.Sprint(list[0]["message"]), "wall") != told {
			t.Errorf("told %v, want the hint: %t", list, told)
		}
	}
}
