// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"claviger/internal/objects"
	"claviger/internal/objects/objectstest"
	"claviger/internal/objects/transfer"
	"claviger/internal/secret"
)

const (
	testKey    = "AKIAtest"
	testSecret = "hush/hush+hush"
	testRegion = "eu-test-1"
)

var testTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fake is a store with the few things of S3 that are used, which checks what it is sent: the
// signature over the target as it arrived, and the payload.
type fake struct {
	t       testing.TB
	buckets []string

	mu      sync.Mutex
	objects map[string][]byte // guarded by mu; target → content
	broken  []int             // guarded by mu; statuses of the next answers
	asked   int               // guarded by mu; requests that came
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // broken off by the client, which then expects no answer
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if len(f.broken) > 0 {
		status := f.broken[0]
		f.broken = f.broken[1:]
		refuse(w, status, "Broken")
		return
	}
	if r.Header.Get("Authorization") != f.expected(r, body) {
		refuse(w, http.StatusForbidden, "SignatureDoesNotMatch")
		return
	}
	bucket, _, _ := strings.Cut(strings.TrimPrefix(r.RequestURI, "/"), "/")
	content, found := f.objects[r.RequestURI]
	switch {
	case !slices.Contains(f.buckets, bucket):
		refuse(w, http.StatusNotFound, "NoSuchBucket")
	case r.Method == http.MethodPut:
		f.objects[r.RequestURI] = body
	case !found:
		refuse(w, http.StatusNotFound, "NoSuchKey")
	default:
		_, _ = w.Write(content)
	}
}

// expected is the Authorization header that the request should have, by another reading of the
// rules: from the request as it came, and the list of headers that it names.
func (f *fake) expected(r *http.Request, body []byte) string {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	names, _, _ := strings.Cut(rest, ",")
	lines := ""
	for name := range strings.SplitSeq(names, ";") {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		lines += name + ":" + value + "\n"
	}
	sum := sha256.Sum256(body)
	canonical := fmt.Sprintf("%s\n%s\n\n%s\n%s\n%s", r.Method, r.RequestURI, lines, names, hex.EncodeToString(sum[:]))
	digest := sha256.Sum256([]byte(canonical))
	at := testTime.Format("20060102T150405Z")
	scope := at[:8] + "/" + testRegion + "/s3/aws4_request"
	key := []byte("AWS4" + testSecret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	signature := mac(key, fmt.Sprintf("AWS4-HMAC-SHA256\n%s\n%s\n%s", at, scope, hex.EncodeToString(digest[:])))
	return fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%x", testKey, scope, names, signature)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>secret text</Message></Error>", code)
}

// open is a client of a fake with these buckets.
func open(t testing.TB, change func(*Config), buckets ...string) (*Store, *fake) {
	t.Helper()
	f := &fake{t: t, buckets: buckets, objects: map[string][]byte{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	client := transfer.New(transfer.Options{})
	t.Cleanup(client.Close)
	cfg := Config{
		Endpoint: server.URL, Region: testRegion, AccessKey: testKey, SecretKey: secret.New([]byte(testSecret)), Client: client,
		Now: func() time.Time { return testTime }, Wait: func(context.Context, time.Duration) error { return nil },
	}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, f
}

func TestSuite(t *testing.T) {
	t.Parallel()
	objectstest.Run(t, func(t testing.TB, buckets ...string) objects.Store {
		s, _ := open(t, nil, buckets...)
		return s
	})
}

var someObject = objects.Name{Owner: "t", Namespace: "n", Bucket: "b", Object: "o"}

// What may be over soon is tried again with the whole body; what is not is answered at once.
func TestRetries(t *testing.T) {
	t.Parallel()
	var waited []time.Duration
	s, f := open(t, func(c *Config) {
		c.Wait = func(_ context.Context, d time.Duration) error { waited = append(waited, d); return nil }
	}, "b")
	for _, c := range []struct {
		broken []int
		asked  int
		want   error
		ok     bool
	}{
		{[]int{500}, 2, nil, true},
		{[]int{503, 429}, 3, nil, true},
		{[]int{500, 500, 500}, 3, nil, false},
		{[]int{403}, 1, objects.ErrDenied, false},
		{[]int{401}, 1, objects.ErrDenied, false},
		{[]int{404}, 1, objects.ErrNotFound, false},
		{[]int{400}, 1, nil, false},
		{[]int{307}, 1, nil, false},
	} {
		f.mu.Lock()
		f.broken, f.asked = slices.Clone(c.broken), 0
		f.mu.Unlock()
		err := s.Put(t.Context(), someObject, strings.NewReader("content"), 7)
		if (err == nil) != c.ok || (c.want != nil && !errors.Is(err, c.want)) || f.asked != c.asked {
			t.Errorf("answers %v: %v after %d requests", c.broken, err, f.asked)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "/n/o")) {
			t.Errorf("the error tells too much: %v", err)
		}
	}
	if got := f.objects["/b/t/n/o"]; string(got) != "content" {
		t.Errorf("stored is %q", got)
	}
	if len(waited) != 5 || waited[0] != pauses[0] {
		t.Errorf("waited %v", waited)
	}
	s.cfg.SecretKey = secret.New([]byte("another"))
	if err := s.Put(t.Context(), someObject, strings.NewReader(""), 0); !errors.Is(err, objects.ErrDenied) || !strings.Contains(err.Error(), "SignatureDoesNotMatch") {
		t.Errorf("with another secret: %v", err)
	}
	s.base.Host = "127.0.0.1:1"
	if _, _, err := s.Get(t.Context(), someObject); err == nil || strings.Contains(err.Error(), "http://") {
		t.Errorf("from a closed port: %v", err)
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"", "s3.example.org", "ftp://s3.example.org", "https://", "https://s3.example.org/path"} {
		if _, err := New(Config{Endpoint: endpoint}); err == nil {
			t.Errorf("the endpoint %q is taken", endpoint)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := wait(over, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting when it is over: %v", err)
	}
	if err := wait(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
}
