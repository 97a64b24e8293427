// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"claviger/internal/audit"
	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

// batchItem and batchResult are a batch as a client sees it.
type batchItem struct {
	Operation  string `json:"operation"`
	Parameters any    `json:"parameters"`
}

type batchResult struct {
	Status  int               `json:"status"`
	Code    string            `json:"code"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

func batchOf(items ...batchItem) map[string]any { return map[string]any{"items": items} }

func (p reply) results(t testing.TB) []batchResult {
	t.Helper()
	var out struct {
		Results []batchResult `json:"results"`
	}
	if p.status != http.StatusOK {
		t.Fatalf("answer %d %s %s", p.status, p.body, p.hint())
	}
	if err := json.Unmarshal(p.body, &out); err != nil {
		t.Fatalf("%v in %.200s", err, p.body)
	}
	return out.Results
}

func (b batchResult) object(t testing.TB) map[string]any {
	t.Helper()
	return reply{status: b.Status, body: b.Body}.object(t)
}

// Each of a thousand items is answered as the call alone would be, in their order, and recorded.
func TestBatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	url := r.vault(r.Tenant) + dialect.BatchPath
	key, signing := r.newKey(t, r.Tenant, "AES", 32), r.newKey(t, r.Tenant, "ECDSA", 32)
	foreign := r.newKey(t, r.Other, "AES", 32)
	one := r.call(t, r.Tenant, "POST", r.vault(r.Tenant)+"/20180608/encrypt", map[string]any{"keyId": key["id"], "plaintext": "aGVsbG8="}).object(t)
	kinds := []struct {
		item    batchItem
		status  int
		code    string
		outcome string
	}{
		{batchItem{"Encrypt", map[string]any{"keyId": key["id"], "plaintext": "aGVsbG8=", "loggingContext": map[string]string{"n": "1"}}}, 200, "", audit.OutcomeOK},
		{batchItem{"Decrypt", map[string]any{"keyId": key["id"], "ciphertext": one["ciphertext"]}}, 200, "", audit.OutcomeOK},
		{batchItem{"GenerateDataEncryptionKey", map[string]any{"keyId": key["id"], "includePlaintextKey": true, "keyShape": map[string]any{"algorithm": "AES", "length": 32}}}, 200, "", audit.OutcomeOK},
		{batchItem{"Sign", map[string]any{"keyId": signing["id"], "message": "aGVsbG8=", "signingAlgorithm": "ECDSA_SHA_256"}}, 200, "", audit.OutcomeOK},
		{batchItem{"Encrypt", map[string]any{"keyId": foreign["id"], "plaintext": "aGVsbG8="}}, 404, "NotAuthorizedOrNotFound", "not-found"},
		{batchItem{"Decrypt", map[string]any{"keyId": key["id"], "ciphertext": "AAAA"}}, 400, "InvalidParameter", "ciphertext"},
		{batchItem{"Encrypt", map[string]any{"keyId": key["id"]}}, 400, "MissingParameter", "missing"},
		{batchItem{"DisableKey", map[string]any{}}, 501, "MethodNotImplemented", "not-implemented"},
		{batchItem{"ExportKey", map[string]any{"keyId": key["id"]}}, 501, "MethodNotImplemented", "not-implemented"},
		{batchItem{"NoSuch", map[string]any{}}, 404, "NotFound", "not-found"},
	}
	var items []batchItem
	for i := range dialect.MaxItems {
		items = append(items, kinds[i%len(kinds)].item)
	}
	before := len(r.Audit.Events())
	answer := r.call(t, r.Tenant, "POST", url, batchOf(items...))
	results := answer.results(t)
	if len(results) != len(items) {
		t.Fatalf("%d results of %d items", len(results), len(items))
	}
	ids := map[string]bool{}
	for i, res := range results {
		want := kinds[i%len(kinds)]
		if res.Status != want.status || res.Code != want.code {
			t.Fatalf("item %d, %s: %d %s %s, want %d %s", i, want.item.Operation, res.Status, res.Code, res.Body, want.status, want.code)
		}
		if want.status != 200 {
			if got := (reply{res.Status, http.Header{"Content-Type": {"application/json"}, "Opc-Request-Id": {"x"}, "Date": {"x"}}, res.Body}).refusal(t); got != fmt.Sprint(want.status, " ", want.code) {
				t.Errorf("item %d: %s", i, got)
			}
		}
		ids[res.Headers["opc-request-id"]] = true
	}
	if len(ids) != len(items) {
		t.Errorf("%d request ids of %d items", len(ids), len(items))
	}
	if got := results[1].object(t)["plaintext"]; got != "aGVsbG8=" {
		t.Errorf("decrypted %v", got)
	}
	again := r.call(t, r.Tenant, "POST", r.vault(r.Tenant)+"/20180608/decrypt", map[string]any{"keyId": key["id"], "ciphertext": results[0].object(t)["ciphertext"]}).object(t)
	if again["plaintext"] != "aGVsbG8=" {
		t.Errorf("what a batch encrypted decrypts to %v", again)
	}
	events := r.Audit.Events()[before : len(r.Audit.Events())-1]
	if len(events) != len(items) {
		t.Fatalf("%d events of %d items", len(events), len(items))
	}
	counts := map[string]int{}
	for _, ev := range events {
		if ev.Batch != answer.header.Get("Opc-Request-Id") || ev.Principal != r.Tenant.Principal || !ids[ev.Request] || ev.Source != "127.0.0.1" {
			t.Fatalf("event %+v", ev)
		}
		counts[ev.Outcome]++
	}
	if want := fmt.Sprint(map[string]int{"ok": 400, "not-found": 200, "ciphertext": 100, "missing": 100, "not-implemented": 200}); fmt.Sprint(counts) != want {
		t.Errorf("outcomes %v, want %s", counts, want)
	}
}

func TestBatchIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	url := r.vault(r.Tenant) + dialect.BatchPath
	item := batchItem{"Encrypt", map[string]any{}}
	wrong := *r.signer(r.Tenant)
	wrong.key = r.Other.RSAKey
	good := bodyBytes(t, batchOf(item))
	changed := func() *http.Request {
		req := r.signer(r.Tenant).request(t, r.Clock.Now(), "POST", url, nil, good)
		again, err := http.NewRequestWithContext(t.Context(), "POST", url, bytes.NewReader(bytes.Replace(good, []byte("Encrypt"), []byte("Decrypt"), 1)))
		if err != nil {
			t.Fatal(err)
		}
		again.Header = req.Header
		return again
	}
	for name, c := range map[string]struct {
		got  reply
		want string
	}{
		"1,001 items":     {r.call(t, r.Tenant, "POST", url, batchOf(slices.Repeat([]batchItem{item}, dialect.MaxItems+1)...)), "400 InvalidParameter"},
		"none":            {r.call(t, r.Tenant, "POST", url, batchOf()), "400 CannotParseRequest"},
		"empty":           {r.call(t, r.Tenant, "POST", url, nil), "400 CannotParseRequest"},
		"no JSON":         {r.call(t, r.Tenant, "POST", url, "{"), "400 CannotParseRequest"},
		"query":           {r.call(t, r.Tenant, "POST", url+"?x=y", batchOf(item)), "400 InvalidParameter"},
		"GET":             {r.call(t, r.Tenant, "GET", url, nil), "405 MethodNotAllowed"},
		"region":          {r.call(t, r.Tenant, "POST", r.region.URL+dialect.BatchPath, batchOf(item)), "404 NotAuthorizedOrNotFound"},
		"wrong signature": {send(t, wrong.request(t, r.Clock.Now(), "POST", url, nil, good)), "401 NotAuthenticated"},
		"changed body":    {send(t, changed()), "401 NotAuthenticated"},
	} {
		if got := c.got.refusal(t); got != c.want {
			t.Errorf("%s: %s %s, want %s", name, got, c.got.hint(), c.want)
		}
	}
	if got := r.call(t, r.Tenant, "POST", url, batchOf(item)).results(t)[0]; got.Status != 400 || got.Headers[strings.ToLower(dialect.HintHeader)] == "" {
		t.Errorf("an item without parameters: %+v", got)
	}
	big := strings.Repeat(" ", 12<<20) + string(good)
	if got := r.call(t, r.Tenant, "POST", url, big).refusal(t); got != "413 RequestEntityTooLarge" {
		t.Errorf("13 MiB: %s", got)
	}
}

// plant puts another handler behind Verify, and makes an item that reaches it.
func (r *rig) plant(t testing.TB, key map[string]any, handler func()) batchItem {
	t.Helper()
	op := r.dialect.router.named["Verify"]
	op.Operation = dialect.Op("Verify", op.Route, unlimited, keys.Verify, func(context.Context, *kms.Call, *verifyRequest) (data, error) {
		handler()
		return data{verifiedData(true)}, nil
	})
	return batchItem{"Verify", map[string]any{
		"keyId": key["id"], "keyVersionId": key["currentKeyVersion"], "message": "aGVsbG8=", "signature": "AAAA", "signingAlgorithm": "ECDSA_SHA_256",
	}}
}

// What is revoked while a batch is under way is not used by the items that come after it, and the
// revocation is answered only once the batch is.
func TestRevocationDuringABatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	key, vault := r.newKey(t, r.Tenant, "AES", 32), r.vault(r.Tenant)
	begun, release := make(chan struct{}, 100), make(chan struct{})
	wait := r.plant(t, key, func() { begun <- struct{}{}; <-release })
	encrypt := batchItem{"Encrypt", map[string]any{"keyId": key["id"], "plaintext": "aGVsbG8="}}
	items := append(slices.Repeat([]batchItem{encrypt}, 20), slices.Repeat([]batchItem{wait}, 16)...) // more than a batch has workers
	items = append(items, encrypt, encrypt)

	answered := make(chan []batchResult, 1)
	req := r.signer(r.Tenant).request(t, r.Clock.Now(), "POST", vault+dialect.BatchPath, nil, bodyBytes(t, batchOf(items...)))
	go func() { answered <- send(t, req).results(t) }()
	for range min(4, runtime.GOMAXPROCS(0)) { // all of its workers wait
		<-begun
	}
	disable := r.signer(r.Tenant).request(t, r.Clock.Now(), "POST", vault+"/20180608/keys/"+key["id"].(string)+"/actions/disable", nil, nil)
	disabled := make(chan int, 1)
	go func() { disabled <- send(t, disable).status }()
	for r.call(t, r.Tenant, "POST", vault+"/20180608/encrypt", encrypt.Parameters).status != http.StatusConflict {
		<-time.After(time.Millisecond) // until the revocation is committed
	}
	if len(disabled) != 0 {
		t.Error("the revocation is answered while a batch may yet answer with the key")
	}
	close(release)
	results := <-answered
	if got := <-disabled; got != http.StatusOK {
		t.Errorf("the revocation is answered %d", got)
	}
	for i, res := range results {
		want := http.StatusOK
		if i >= len(items)-2 {
			want = http.StatusConflict
		}
		if res.Status != want {
			t.Errorf("item %d, %s: %d %s, want %d", i, items[i].Operation, res.Status, res.Body, want)
		}
	}
}

// One item's panic is that item's internal error.
func TestPanicInAnItem(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	key := r.newKey(t, r.Tenant, "AES", 32)
	good := batchItem{"Encrypt", map[string]any{"keyId": key["id"], "plaintext": "aGVsbG8="}}
	bad := r.plant(t, key, func() { panic("planted") })
	answer := r.call(t, r.Tenant, "POST", r.vault(r.Tenant)+dialect.BatchPath, batchOf(good, bad, good))
	results := answer.results(t)
	for i, want := range []int{200, 500, 200} {
		if results[i].Status != want {
			t.Errorf("item %d: %d %s, want %d", i, results[i].Status, results[i].Body, want)
		}
	}
	if bytes.Contains(answer.body, []byte("planted")) {
		t.Errorf("the panic reaches the client: %s", answer.body)
	}
}
