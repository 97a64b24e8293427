// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"claviger/internal/audit"
	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

const (
	maxBatch      = 12 << 20 // bytes, as docs/batch.md says
	batchesAtOnce = 4
)

// guarded is a rig with a guard in which the test ends the time of who waits.
func guarded(t testing.TB) (*rig, *dialect.Guard, *patience) {
	t.Helper()
	var guard *dialect.Guard
	patient := &patience{}
	r := newRig(t, func(c *Config) {
		guard = dialect.NewGuard(dialect.GuardConfig{Now: c.Now, Within: patient.within})
		c.Guard = guard
	})
	return r, guard, patient
}

// hold puts something before GenerateDataEncryptionKey, and makes an item that passes it.
func (r *rig) hold(t testing.TB, key map[string]any, before func(context.Context, *kms.Call)) batchItem {
	t.Helper()
	op := r.dialect.router.named["GenerateDataEncryptionKey"]
	op.Operation = dialect.Op(op.Name, op.Route, unlimited, op.Action, func(ctx context.Context, c *kms.Call, req *dataKeyRequest) (data, error) {
		before(ctx, c)
		return r.dialect.generateDataEncryptionKey(ctx, c, req)
	})
	return batchItem{op.Name, map[string]any{"keyId": key["id"], "includePlaintextKey": true, "keyShape": map[string]any{"algorithm": "AES", "length": 32}}}
}

// items are the audited items of batches since an event.
func (r *rig) items(since int) (outcomes map[string]int) {
	outcomes = map[string]int{}
	for _, ev := range r.Audit.Events()[since:] {
		if ev.Batch != "" {
			outcomes[ev.Outcome]++
		}
	}
	return outcomes
}

func (r *rig) batchRequest(t testing.TB, tenant kmstest.Tenant, body any) *http.Request {
	t.Helper()
	return r.signer(tenant).request(t, r.Clock.Now(), "POST", r.vault(tenant)+dialect.BatchPath, nil, bodyBytes(t, body))
}

// A body of 12 MiB is taken, and one byte more is not: it is refused before it is read, and nothing is
// done. Oracle's signature tells the length, so one that comes in chunks does not verify.
func TestBatchOfTheLargestSize(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("sends bodies of 12 MiB")
	}
	r := newRig(t, nil)
	key := r.newKey(t, r.Tenant, "AES", 32)
	good := bodyBytes(t, batchOf(batchItem{"Encrypt", map[string]any{"keyId": key["id"], "plaintext": "aGVsbG8="}}))
	sized := func(n int) *http.Request {
		return r.batchRequest(t, r.Tenant, strings.Repeat(" ", n-len(good))+string(good))
	}
	if res := send(t, sized(maxBatch)).results(t); len(res) != 1 || res[0].Status != http.StatusOK {
		t.Errorf("12 MiB are answered %+v", res)
	}
	before := len(r.Audit.Events())
	over := send(t, sized(maxBatch+1))
	if got := over.refusal(t); got != "413 RequestEntityTooLarge" {
		t.Errorf("a byte more: %s", got)
	}
	chunked := sized(maxBatch + 1)
	chunked.ContentLength, chunked.Body = -1, io.NopCloser(strings.NewReader(""))
	if got := send(t, chunked).refusal(t); got != "401 NotAuthenticated" {
		t.Errorf("in chunks: %s", got)
	}
	// The header alone is enough to be refused: nobody waits for what is not wanted.
	req := sized(maxBatch + 1)
	c := dialRaw(t, "127.0.0.1", r.vault(r.Tenant))
	var head bytes.Buffer
	req.Body = http.NoBody
	req.Header.Set("Content-Length", fmt.Sprint(maxBatch+1))
	fmt.Fprintf(&head, "POST %s HTTP/1.1\r\nHost: %s\r\n", req.URL.RequestURI(), req.URL.Host)
	if err := req.Header.Write(&head); err != nil {
		t.Fatal(err)
	}
	c.write(t, head.String()+"\r\n")
	if p, err := c.answer(); err != nil || p.refusal(t) != "413 RequestEntityTooLarge" || p.header.Get("Connection") != "close" {
		t.Errorf("the header of a byte more: %v %v", p, err)
	}
	if got := r.items(before); len(got) != 0 {
		t.Errorf("items of refused batches: %v", got)
	}
}

// Four batches are under way at once. The fifth waits and is answered when its turn comes, or is refused
// as one who is throttled when its time is over, and then nothing of it is done.
func TestBatchesAtOnce(t *testing.T) {
	t.Parallel()
	r, guard, patient := guarded(t)
	key := r.newKey(t, r.Tenant, "AES", 32)
	begun, release := make(chan struct{}, 100), make(chan struct{})
	item := r.hold(t, key, func(context.Context, *kms.Call) { begun <- struct{}{}; <-release })
	before := len(r.Audit.Events())
	answers := make(chan reply, 100)
	start := func() {
		req := r.batchRequest(t, r.Tenant, batchOf(item))
		go func() { answers <- send(t, req) }()
	}
	for range batchesAtOnce {
		start()
		<-begun
	}
	start()
	until(t, "the fifth waits", func() bool { return guard.Stats().BatchesWaiting == 1 })
	start()
	until(t, "the sixth waits", func() bool { return guard.Stats().BatchesWaiting == 2 })
	patient.endLast()
	late := <-answers
	if got := late.refusal(t); got != "429 TooManyRequests" || late.header.Get("Retry-After") != "1" || late.hint() == "" {
		t.Errorf("whose time is over: %s %v", got, late.header)
	}
	if got := r.items(before); len(got) != 0 || len(begun) != 0 {
		t.Errorf("with all under way or waiting, items are done: %v", got)
	}
	release <- struct{}{}
	<-begun // the fifth's turn
	close(release)
	for range batchesAtOnce + 1 {
		if res := (<-answers).results(t); len(res) != 1 || res[0].Status != http.StatusOK {
			t.Errorf("answered %+v", res)
		}
	}
	if got := r.items(before); got[audit.OutcomeOK] != batchesAtOnce+1 || len(got) != 1 {
		t.Errorf("audited: %v", got)
	}
}

// A tenant that sends many batches does not keep another one waiting: its turn is the next but one at the latest.
func TestTenantsTakeTurns(t *testing.T) {
	t.Parallel()
	r, guard, _ := guarded(t)
	begun, release := make(chan keys.ID, 100), make(chan struct{})
	r.hold(t, r.newKey(t, r.Tenant, "AES", 32), func(_ context.Context, c *kms.Call) { begun <- c.Who.Tenant; <-release })
	bodies := map[keys.ID]any{}
	for _, tenant := range []kmstest.Tenant{r.Tenant, r.Other} {
		bodies[tenant.ID] = batchOf(batchItem{"GenerateDataEncryptionKey", map[string]any{
			"keyId": r.newKey(t, tenant, "AES", 32)["id"], "includePlaintextKey": true, "keyShape": map[string]any{"algorithm": "AES", "length": 32},
		}})
	}
	answers := make(chan reply, 100)
	start := func(tenant kmstest.Tenant) {
		req := r.batchRequest(t, tenant, bodies[tenant.ID])
		go func() { answers <- send(t, req) }()
	}
	for range batchesAtOnce {
		start(r.Tenant)
		<-begun
	}
	const many = 12
	for i := range many {
		start(r.Tenant)
		until(t, "it waits", func() bool { return guard.Stats().BatchesWaiting == i+1 })
	}
	start(r.Other)
	until(t, "the other tenant's waits", func() bool { return guard.Stats().BatchesWaiting == many+1 })
	place := 0
	for i := range many + 1 {
		release <- struct{}{}
		if <-begun == r.Other.ID {
			place = i
		}
	}
	close(release)
	for range batchesAtOnce + many + 1 {
		if res := (<-answers).results(t); len(res) != 1 || res[0].Status != http.StatusOK {
			t.Errorf("answered %+v", res)
		}
	}
	if place > 1 {
		t.Errorf("%d batches of a tenant were begun before the other tenant's", place)
	}
}

// middle is a batch that is in the middle when begun has had one for each of its workers: so many items are
// done by then, so many have begun, and the others have not.
func (r *rig) middle(t testing.TB, begun chan struct{}) (req *http.Request, done, under, left int) {
	t.Helper()
	key := r.newKey(t, r.Tenant, "AES", 32)
	wait := r.hold(t, key, func(ctx context.Context, _ *kms.Call) { begun <- struct{}{}; <-ctx.Done() })
	encrypt := batchItem{"Encrypt", map[string]any{"keyId": key["id"], "plaintext": "aGVsbG8="}}
	done, under, left = 40, min(4, runtime.GOMAXPROCS(0)), 30
	items := slices.Concat(slices.Repeat([]batchItem{encrypt}, done), slices.Repeat([]batchItem{wait}, under), slices.Repeat([]batchItem{encrypt}, left))
	return r.batchRequest(t, r.Tenant, batchOf(items...)), done, under, left
}

// What is done or has begun when a batch's time ends is answered; the other items are refused as
// unavailable, and say what to do. The audit log has each of them.
func TestTimeOfABatchEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	r, _, patient := guarded(t)
	begun := make(chan struct{}, 100)
	req, done, under, left := r.middle(t, begun)
	before := len(r.Audit.Events())
	answered := make(chan reply, 1)
	go func() { answered <- send(t, req) }()
	for range under {
		<-begun
	}
	patient.end()
	results := (<-answered).results(t)
	if len(results) != done+under+left {
		t.Fatalf("%d results", len(results))
	}
	for i, res := range results {
		switch hint := res.Headers[strings.ToLower(dialect.HintHeader)]; {
		case i < done+under && res.Status != http.StatusOK:
			t.Errorf("item %d, which had begun: %+v", i, res)
		case i >= done+under && (res.Status != http.StatusServiceUnavailable || res.Code != "ServiceUnavailable" || !strings.Contains(hint, "send this item again")):
			t.Errorf("item %d, which had not: %+v", i, res)
		}
	}
	if got := r.items(before); got[audit.OutcomeOK] != done+under || got[string(keys.KindUnavailable)] != left || len(got) != 2 {
		t.Errorf("audited: %v", got)
	}
}

// A client that hangs up in the middle ends its batch: what has not begun is not carried out, each item
// is in the audit log, and the batch's place is free again.
func TestClientHangsUpInABatch(t *testing.T) {
	t.Parallel()
	r, guard, _ := guarded(t)
	begun := make(chan struct{}, 100)
	before := 0
	for range batchesAtOnce + 1 { // one more than there are places
		req, done, under, left := r.middle(t, begun)
		before = len(r.Audit.Events())
		ctx, hangUp := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			res, err := http.DefaultTransport.RoundTrip(req.WithContext(ctx))
			if err == nil {
				_ = res.Body.Close()
			}
			ended <- err
		}()
		for range under {
			<-begun
		}
		hangUp()
		if <-ended == nil {
			t.Error("who has hung up is answered")
		}
		until(t, "every item is in the audit log", func() bool {
			got := r.items(before)
			return got[audit.OutcomeOK] == done+under && got[string(keys.KindUnavailable)] == left
		})
	}
	key := r.newKey(t, r.Tenant, "AES", 32)
	again := r.batchRequest(t, r.Tenant, batchOf(batchItem{"Encrypt", map[string]any{"keyId": key["id"], "plaintext": "aGVsbG8="}}))
	if res := send(t, again).results(t); len(res) != 1 || res[0].Status != http.StatusOK {
		t.Errorf("after it: %+v", res)
	}
	if s := guard.Stats(); s.BatchesWaiting != 0 {
		t.Errorf("%+v", s)
	}
}
