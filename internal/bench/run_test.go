// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serve runs a server that answers as handle does, and a target that sends it unsigned requests.
func serve(t *testing.T, handle http.HandlerFunc) *Target {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return &Target{Dialect: Unsigned, Endpoint: s.URL, Keys: map[Kind]Key{AES: {ID: "k", Version: "v"}}}
}

func prepare(t *testing.T, target *Target, connections int, mix ...Share) *Plan {
	t.Helper()
	p, err := Prepare(t.Context(), target, Workload{Mix: mix, Size: 8, Connections: connections, Pool: 50}, Surroundings{Now: time.Now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func do(t *testing.T, p *Plan, r Run) *Result {
	t.Helper()
	res, err := p.Do(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// sealed is an answer to Encrypt.
const sealed = `{"ciphertext":"QUFBQUFBQUFBQUFBQUFBQUFBQUE="}`

func good(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, sealed) }

// TestOmission holds up the first answer, and checks that an open loop counts the wait of all the
// requests that were due meanwhile, which a closed loop does not even send.
func TestOmission(t *testing.T) {
	t.Parallel()
	const hold, interval = 300 * time.Millisecond, 2 * time.Millisecond
	var first atomic.Bool
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !first.Swap(true) {
			<-time.After(hold)
		}
		good(w, r)
	})
	p := prepare(t, target, 1, Share{"encrypt", 1})
	res := do(t, p, Run{Rate: float64(time.Second / interval), Duration: time.Hour, Requests: int64(hold / interval)})
	// Request i was due after i intervals and answered after the first one at the earliest.
	if got := res.Latency.P50; got < micros(hold/2) {
		t.Errorf("half of the requests waited %v µs or less, and half were due while the first was held for at least %v", got, hold/2)
	}
	if res.Loop != "open" || res.Requests != uint64(hold/interval) || res.Latency.Max < micros(hold) {
		t.Errorf("%+v", res)
	}

	first.Store(false)
	res = do(t, p, Run{Duration: time.Hour, Requests: 20})
	if res.Loop != "closed" || res.Requests != 20 || res.Latency.Max < micros(hold) {
		t.Errorf("%+v", res)
	}
}

// TestUnsent counts what was due and never had a connection.
func TestUnsent(t *testing.T) {
	t.Parallel()
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		<-time.After(50 * time.Millisecond)
		good(w, r)
	})
	res := do(t, prepare(t, target, 1, Share{"encrypt", 1}), Run{Rate: 1000, Duration: 200 * time.Millisecond})
	if res.Unsent < 150 || res.Unsent+res.Requests > 201 {
		t.Errorf("%d were sent, %d not", res.Requests, res.Unsent)
	}
}

// TestFailures sees errors of the API, wrong content and broken connections, each counted by itself.
func TestFailures(t *testing.T) {
	t.Parallel()
	var count atomic.Int64
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/decrypt") {
			_, _ = io.WriteString(w, `{"plaintext":"d3Jvbmc="}`)
			return
		}
		switch n := count.Add(1); {
		case r.Method == http.MethodGet && n%2 == 0:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"code":"TooManyRequests","message":"slower"}`)
		case r.Method == http.MethodGet:
			panic(http.ErrAbortHandler)
		default:
			good(w, r)
		}
	})
	p := prepare(t, target, 1, Share{"encrypt", 1}, Share{"decrypt", 1}, Share{"describe-key", 2})
	count.Store(0)
	res := do(t, p, Run{Duration: time.Hour, Requests: 40})
	found := map[string]uint64{}
	for _, f := range res.Errors {
		found[fmt.Sprintf("%s %d %s", f.Operation, f.Status, f.Code)] += f.Count
		if f.Code == "TooManyRequests" && f.Message != "slower" {
			t.Errorf("the API said slower, and the benchmark says %q", f.Message)
		}
	}
	// The first answer of decrypt is looked at and then one of 64.
	for _, want := range []string{"describe-key 429 TooManyRequests", "describe-key 0 connection", "decrypt 0 content"} {
		if found[want] == 0 {
			t.Errorf("there is no error %q among %v", want, found)
		}
	}
	if found["decrypt 0 content"] != 1 || res.Failed != 21 || res.Requests != 19 {
		t.Errorf("%d answers, %d failures: %v", res.Requests, res.Failed, found)
	}
}

// TestInterrupted tells what was measured by then.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var count atomic.Int64
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1) == 300 {
			cancel()
		}
		good(w, r)
	})
	p := prepare(t, target, 4, Share{"encrypt", 1})
	count.Store(0)
	res, err := p.Do(ctx, Run{Duration: time.Hour})
	if err != nil || !res.Interrupted || res.Requests == 0 || len(res.Errors) > 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	target := serve(t, good)
	p := prepare(t, target, 1, Share{"encrypt", 1})
	p.addresses[data].dial = "127.0.0.1:1"
	if _, err := p.Do(t.Context(), Run{Duration: time.Second}); err == nil {
		t.Error("a run against nobody went well")
	}
}

// TestOrder mixes evenly: no operation waits until another has had all its turns.
func TestOrder(t *testing.T) {
	t.Parallel()
	works := []*work{{weight: 3}, {weight: 1}, {weight: 2}}
	if diff := cmp.Diff([]int{0, 2, 0, 1, 2, 0}, order(works)); diff != "" {
		t.Error(diff)
	}
}

// TestPool checks that no request of a pool is another, that each belongs to one connection, and that
// a request that is too old is signed anew.
func TestPool(t *testing.T) {
	t.Parallel()
	now := noon
	target := &Target{Dialect: Unsigned, Endpoint: "http://h:1", Keys: map[Kind]Key{AES: {ID: "k", Version: "v"}}}
	p, err := Prepare(t.Context(), target, Workload{Mix: []Share{{"encrypt", 1}, {"generate-data-key", 1}}, Size: 8, Connections: 3, Pool: 2000},
		Surroundings{Now: func() time.Time { return now }, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	owner := map[string]int{}
	for c := range 3 {
		s, err := p.source(c, 3)
		if err != nil {
			t.Fatal(err)
		}
		for range 1500 {
			_, _, raw, err := s.take(now)
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := owner[string(raw)]; ok && other != c {
				t.Fatalf("connections %d and %d have the same request", other, c)
			}
			owner[string(raw)] = c
		}
	}
	if len(owner) != 2000 {
		t.Errorf("of 2000 requests %d differ", len(owner))
	}
	now = now.Add(freshFor + time.Second)
	s, err := p.source(0, 3)
	if err != nil {
		t.Fatal(err)
	}
	_, _, raw, err := s.take(now)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := parsed(t, raw)
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil || now.Sub(date).Abs() > spread/2*time.Second {
		t.Errorf("at %v a request is dated %v, %v", now, date, err)
	}
}

// TestJSON holds the members of the JSON that scripts rely on.
func TestJSON(t *testing.T) {
	t.Parallel()
	var count atomic.Int64
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1)%4 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		good(w, r)
	})
	res := do(t, prepare(t, target, 2, Share{"encrypt", 1}), Run{Duration: time.Hour, Requests: 40})
	res.Server = &ServerUsed{}
	b, err := json.Marshal(Report{Format: ReportFormat, Version: "v", Runs: []*Result{res}})
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	members(v, "", names)
	var got []string
	for name := range names {
		got = append(got, name)
	}
	slices.Sort(got)
	want := strings.Fields(`format runs
		runs.connections runs.dialect runs.endpoint
		runs.errors runs.errors.code runs.errors.count runs.errors.message runs.errors.operation runs.errors.status
		runs.failed runs.interrupted
		runs.latency runs.latency.curve runs.latency.curve.micros runs.latency.curve.share runs.latency.max runs.latency.mean
		runs.latency.min runs.latency.p50 runs.latency.p90 runs.latency.p99 runs.latency.p999
		runs.loop
		runs.operations runs.operations.failed runs.operations.latency runs.operations.latency.curve runs.operations.latency.curve.micros
		runs.operations.latency.curve.share runs.operations.latency.max runs.operations.latency.mean runs.operations.latency.min
		runs.operations.latency.p50 runs.operations.latency.p90 runs.operations.latency.p99 runs.operations.latency.p999
		runs.operations.operation runs.operations.perSecond runs.operations.requests
		runs.perSecond runs.rate runs.requests runs.seconds
		runs.server runs.server.cpuMicrosPerRequest runs.server.cpuSeconds runs.server.rssBytes
		runs.size runs.started runs.timeline runs.unsent runs.warmUpSeconds
		version`)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members of the JSON (-want +got):\n%s", diff)
	}
}

func members(v any, path string, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			into[strings.TrimPrefix(path+"."+name, ".")] = true
			members(value, path+"."+name, into)
		}
	case []any:
		for _, value := range v {
			members(value, path, into)
		}
	}
}

// TestPlot draws what is well-formed and names every operation.
func TestPlot(t *testing.T) {
	t.Parallel()
	res := do(t, prepare(t, serve(t, good), 2, Share{"encrypt", 1}), Run{Duration: time.Hour, Requests: 100})
	other := *res
	other.Dialect = "<&>"
	for _, runs := range [][]*Result{{res}, {res, &other}, {}, {{Operations: []Measured{{Operation: "none"}}}}} {
		drawn := Plot(runs)
		for d := xml.NewDecoder(bytes.NewReader(drawn)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v\n%s", err, drawn)
			}
		}
		for _, r := range runs {
			if !bytes.Contains(drawn, []byte(r.Operations[0].Operation+"</text>")) {
				t.Errorf("the plot does not name %s", r.Operations[0].Operation)
			}
		}
		if bytes.Contains(drawn, []byte("NaN")) || bytes.Contains(drawn, []byte("Inf")) {
			t.Errorf("the plot has points that are nowhere:\n%s", drawn)
		}
	}
}
