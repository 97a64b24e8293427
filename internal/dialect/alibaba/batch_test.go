// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"claviger/internal/audit"
	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms/kmstest"
)

type batchItem struct {
	Operation  string         `json:"operation"`
	Parameters map[string]any `json:"parameters"`
}

type batchResult struct {
	Status  int               `json:"status"`
	Code    string            `json:"code"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

// batch sends a batch, signed by the dialect's rules for its path; change may alter the headers.
func (c *cloud) batch(t testing.TB, who kmstest.Tenant, body string, change func(http.Header)) reply {
	t.Helper()
	return c.send(t, http.MethodPost, dialect.BatchPath, c.headersOfBatch(who, body, change), body)
}

func (c *cloud) headersOfBatch(who kmstest.Tenant, body string, change func(http.Header)) http.Header {
	return c.headersAt(dialect.BatchPath, http.MethodPost, who, dialect.BatchName, url.Values{}, body, func(h http.Header) {
		h.Set("Content-Type", "application/json")
		if change != nil {
			change(h)
		}
	})
}

func batchOf(t testing.TB, items ...batchItem) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"items": items})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (r reply) results(t testing.TB) []batchResult {
	t.Helper()
	var out struct {
		Results []batchResult `json:"results"`
	}
	if err := json.Unmarshal([]byte(r.body), &out); err != nil || r.status != http.StatusOK {
		t.Fatalf("%v in %.300s %s", err, r, r.header.Get(dialect.HintHeader))
	}
	return out.Results
}

// Each of a thousand items is answered as the call alone would be, in their order, and recorded.
func TestBatch(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	sealed := c.must(t, "Encrypt", "KeyId="+key, "Plaintext=text that is no base64", `EncryptionContext={"a":"b"}`).at("CiphertextBlob")
	kinds := []struct {
		item      batchItem
		status    int
		code, has string
	}{
		{batchItem{"Encrypt", map[string]any{"KeyId": key, "Plaintext": "aGVsbG8="}}, 200, "", "CiphertextBlob"},
		{batchItem{"Decrypt", map[string]any{"CiphertextBlob": sealed, "EncryptionContext": map[string]string{"a": "b"}}}, 200, "", "text that is no base64"},
		{batchItem{"Decrypt", map[string]any{"CiphertextBlob": sealed, "EncryptionContext": `{"a":"b"}`}}, 200, "", "text that is no base64"},
		{batchItem{"ReEncrypt", map[string]any{"CiphertextBlob": sealed, "SourceEncryptionContext": map[string]string{"a": "b"}, "DestinationKeyId": key}}, 200, "", "CiphertextBlob"},
		{batchItem{"GenerateDataKey", map[string]any{"KeyId": key, "NumberOfBytes": 16}}, 200, "", "Plaintext"},
		{batchItem{"Decrypt", map[string]any{"CiphertextBlob": sealed}}, 400, "InvalidParameter", "RequestId"},
		{batchItem{"Encrypt", map[string]any{"KeyId": key}}, 400, "MissingParameter", "Plaintext"},
		{batchItem{"Encrypt", map[string]any{"KeyId": key, "Plaintext": "aGk=", "Format": "XML"}}, 400, "InvalidParameter", "HostId"},
		{batchItem{"DisableKey", map[string]any{"KeyId": key}}, 400, "UnsupportedOperation", "Recommend"},
		{batchItem{"NoSuch", map[string]any{}}, 404, "InvalidAction.NotFound", "Recommend"},
	}
	var items []batchItem
	for i := range dialect.MaxItems {
		items = append(items, kinds[i%len(kinds)].item)
	}
	before := len(c.Audit.Events())
	answer := c.batch(t, c.Tenant, batchOf(t, items...), nil)
	results := answer.results(t)
	if len(results) != len(items) {
		t.Fatalf("%d results of %d items", len(results), len(items))
	}
	ids := map[string]bool{}
	for i, res := range results {
		want := kinds[i%len(kinds)]
		if res.Status != want.status || res.Code != want.code || !strings.Contains(string(res.Body), want.has) {
			t.Fatalf("item %d, %s: %d %s %s, want %d %s", i, want.item.Operation, res.Status, res.Code, res.Body, want.status, want.code)
		}
		id := reply{body: string(res.Body)}.at("RequestId")
		if id == "" || id != res.Headers["x-acs-request-id"] {
			t.Errorf("item %d: request id %q, header %v", i, id, res.Headers)
		}
		ids[id] = true
	}
	if len(ids) != len(items) {
		t.Errorf("%d request ids of %d items", len(ids), len(items))
	}
	if got := c.must(t, "Decrypt", "CiphertextBlob="+reply{body: string(results[3].Body)}.at("CiphertextBlob")).at("Plaintext"); got != "text that is no base64" {
		t.Errorf("encrypted anew in a batch, it decrypts to %q", got)
	}
	events := c.Audit.Events()[before : len(c.Audit.Events())-1]
	ok := 0
	for _, ev := range events {
		if ev.Batch != answer.header.Get("X-Acs-Request-Id") || !ids[ev.Request] {
			t.Fatalf("event %+v", ev)
		}
		if ev.Outcome == audit.OutcomeOK {
			ok++
		}
	}
	if len(events) != len(items) || ok != len(items)/2 {
		t.Errorf("%d events, %d of them ok, of %d items", len(events), ok, len(items))
	}
}

func TestBatchIsRefused(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	item := batchItem{"Encrypt", map[string]any{}}
	good := batchOf(t, item)
	stranger := c.Tenant
	stranger.Secret = "wrong"
	var many []batchItem
	for range dialect.MaxItems + 1 {
		many = append(many, item)
	}
	replayed := c.headersOfBatch(c.Tenant, good, nil)
	c.send(t, http.MethodPost, dialect.BatchPath, replayed, good).results(t)
	v1 := c.common(c.Tenant, dialect.BatchName)
	v1.Set("Signature", signV1(http.MethodPost, c.Tenant.Secret, v1))
	for name, tc := range map[string]struct {
		got  reply
		want string
	}{
		"1,001 items":     {c.batch(t, c.Tenant, batchOf(t, many...), nil), "400 InvalidParameter"},
		"no JSON":         {c.batch(t, c.Tenant, "{", nil), "400 ParseRequestParameterException"},
		"no JSON's type":  {c.batch(t, c.Tenant, good, func(h http.Header) { h.Set("Content-Type", "text/plain") }), "400 ParseRequestParameterException"},
		"another action":  {c.batch(t, c.Tenant, good, func(h http.Header) { h.Set("X-Acs-Action", "Encrypt") }), "404 InvalidAction.NotFound"},
		"wrong secret":    {c.batch(t, stranger, good, nil), "400 SignatureDoesNotMatch"},
		"changed body":    {c.send(t, http.MethodPost, dialect.BatchPath, c.headersOfBatch(c.Tenant, good, nil), good+" "), "400 SignatureDoesNotMatch"},
		"replay":          {c.send(t, http.MethodPost, dialect.BatchPath, replayed, good), "400 SignatureNonceUsed"},
		"of another path": {c.send(t, http.MethodPost, dialect.BatchPath, c.headersACS3(http.MethodPost, c.Tenant, dialect.BatchName, url.Values{}, good, func(h http.Header) { h.Set("Content-Type", "application/json") }), good), "400 SignatureDoesNotMatch"},
		"version 1":       {c.send(t, http.MethodPost, dialect.BatchPath+"?"+v1.Encode(), http.Header{"Content-Type": {"application/json"}}, good), "400 InvalidSignatureMethod"},
		"as an operation": {c.call(t, dialect.BatchName), "404 InvalidAction.NotFound"},
	} {
		if got := tc.got.code(); got != tc.want {
			t.Errorf("%s: %s %s, want %s", name, tc.got, tc.got.header.Get(dialect.HintHeader), tc.want)
		}
	}
}

// Items are throttled as calls are, each for itself.
func TestBatchIsThrottledByItem(t *testing.T) {
	t.Parallel()
	c := newCloud(t, limited(map[string]float64{classCrypto: 7}))
	key := c.newKey(t)
	var items []batchItem
	for range 20 {
		items = append(items, batchItem{"Encrypt", map[string]any{"KeyId": key, "Plaintext": "aGk="}})
	}
	seen := map[int]int{}
	for _, res := range c.batch(t, c.Tenant, batchOf(t, items...), nil).results(t) {
		seen[res.Status]++
		if res.Status != http.StatusOK && (res.Code != "Rejected.Throttling" || res.Headers["x-acs-retry-after"] == "") {
			t.Errorf("%+v", res)
		}
	}
	if seen[http.StatusOK] != 7 {
		t.Errorf("%v, want 7 answered", seen)
	}
}

func TestParseObject(t *testing.T) {
	t.Parallel()
	var p params
	if err := p.parseObject(`{"B":"x\u0041","A":12,"C":true,"D":null,"E":{"a":["}"]},"F":[1, 2]}`); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"A": "12", "B": "xA", "C": "true", "E": `{"a":["}"]}`, "F": "[1, 2]"} {
		if got, ok := p.get(name); !ok || got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if _, ok := p.get("D"); ok {
		t.Error("null is given")
	}
	for _, bad := range []string{``, `[]`, `{"a":"b","a":"c"}`, `{"":"x"}`, `{"a":"\ud800"}`, `{"a":"b"}x`, `{"a":}`, `{"a":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`} {
		if err := p.parseObject(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func FuzzParseObject(f *testing.F) {
	for _, s := range []string{`{"A":"b"}`, `{"A":{"b":[1,"]"]},"C":null}`, `{"A":"\u0041\ud83d\ude00"}`, `{`, `{"a":1}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var p params
		if p.parseObject(text) != nil {
			return
		}
		for i := range p.list {
			if p.list[i].name == "" || i > 0 && p.list[i].name <= p.list[i-1].name {
				t.Fatalf("%q gives %+v", text, p.list)
			}
		}
	})
}

// A body of 12 MiB is taken, whether its length is told or not, and one byte more is not: nothing is done.
func TestBatchOfTheLargestSize(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("sends bodies of 12 MiB")
	}
	const most = 12 << 20 // as docs/batch.md says
	c := newCloud(t)
	good := batchOf(t, batchItem{"Encrypt", map[string]any{"KeyId": c.newKey(t), "Plaintext": "aGk="}})
	before := len(c.Audit.Events())
	for _, chunked := range []bool{false, true} {
		for size, want := range map[int]string{most: "200", most + 1: "413 RequestEntityTooLarge"} {
			body := strings.Repeat(" ", size-len(good)) + good
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+dialect.BatchPath, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header = c.headersOfBatch(c.Tenant, body, nil)
			if chunked {
				r.ContentLength = -1
			}
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if got := (reply{resp.StatusCode, resp.Header, string(b)}); err != nil || got.code() != want {
				t.Errorf("%d bytes, chunked: %t: %s %v, want %s", size, chunked, got, err, want)
			}
		}
	}
	items := 0
	for _, ev := range c.Audit.Events()[before:] {
		if ev.Batch != "" {
			items++
		}
	}
	if items != 2 {
		t.Errorf("%d items were done, want those of the two batches that fit", items)
	}
}

// The fifth batch is refused in the cloud's words for being throttled when its time is over before its
// turn comes.
func TestBatchesAtOnce(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}, 100), make(chan struct{})
	var last atomic.Pointer[context.CancelFunc]
	c := newCloud(t, func(cfg *Config) {
		cfg.Guard = dialect.NewGuard(dialect.GuardConfig{Now: cfg.Now, Within: func(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			last.Store(&cancel)
			return ctx, cancel
		}})
		cfg.Limiter = dialect.NewSharedLimiter(func(context.Context, keys.ID, string, float64) (bool, time.Duration, error) {
			begun <- struct{}{}
			<-release
			return true, 0, nil
		}, map[string]float64{classCrypto: 1})
	})
	body := batchOf(t, batchItem{"Encrypt", map[string]any{"KeyId": c.newKey(t), "Plaintext": "aGk="}})
	answers := make(chan reply, 10)
	start := func() {
		headers := c.headersOfBatch(c.Tenant, body, nil)
		go func() { answers <- c.send(t, http.MethodPost, dialect.BatchPath, headers, body) }()
	}
	for range 4 {
		start()
		<-begun
	}
	of := last.Load()
	start()
	for end := time.Now().Add(2 * time.Minute); last.Load() == of; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the fifth batch does not come")
		}
	}
	(*last.Load())()
	if r := <-answers; r.code() != "429 Rejected.Throttling" || r.header.Get("X-Acs-Retry-After") == "" {
		t.Errorf("the fifth: %s %v", r, r.header)
	}
	close(release)
	for range 4 {
		if res := (<-answers).results(t); len(res) != 1 || res[0].Status != http.StatusOK {
			t.Errorf("answered %+v", res)
		}
	}
}
