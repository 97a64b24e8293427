// SPDX-License-Identifier: Apache-2.0

package cloud

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"
)

// clock is a clock that only pauses move.
type clock struct {
	mu     sync.Mutex
	now    time.Time       // mu
	pauses []time.Duration // mu
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Pause(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.pauses = append(c.pauses, d)
	return ctx.Err()
}

// slept is the sum of all pauses.
func (c *clock) slept() (sum time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.pauses {
		sum += d
	}
	return sum
}

// signer is an API key, made once for all tests of the package.
var signer = sync.OnceValue(func() Credentials {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	fingerprint, err := Fingerprint(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return Credentials{Tenancy: "ocid1.tenancy.t", User: "ocid1.user.u", HomeRegion: "us-ashburn-1", FingerprintOfKey: fingerprint, Key: key}
})

func testCloud(t *testing.T, o Options) (*Cloud, *clock) {
	t.Helper()
	c := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	o.Now, o.Pause = c.Now, c.Pause
	if o.Credentials.Key == nil {
		o.Credentials = signer()
	}
	made, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return made, c
}

// answers is a server that gives one answer after the other, and the last one for ever.
type answers struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request // mu
	next     []answer        // mu
}

type answer struct {
	status     int
	code       string // of a refusal, or the state of the version
	retryAfter string
	hint       string
}

func serve(t *testing.T, next ...answer) *answers {
	t.Helper()
	s := &answers{next: next}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests = append(s.requests, r)
		a := s.next[0]
		if len(s.next) > 1 {
			s.next = s.next[1:]
		}
		if a.status == 0 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close() // as a server that dies
			}
			return
		}
		body := map[string]any{"code": a.code, "message": "as it is"}
		if a.status == http.StatusOK {
			body = map[string]any{"id": "v", "lifecycleState": a.code}
		}
		if a.retryAfter != "" {
			w.Header().Set("Retry-After", a.retryAfter)
		}
		if a.hint != "" {
			w.Header().Set("X-Claviger-Hint", a.hint)
		}
		w.Header().Set("opc-request-id", "r/1")
		w.WriteHeader(a.status)
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *answers) seen() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// create makes a version at s.
func create(t *testing.T, c *Cloud, endpoint string) error {
	t.Helper()
	client, err := c.Management(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	id := "k"
	_, err = Call(t.Context(), c, client.CreateKeyVersion, keymanagement.CreateKeyVersionRequest{KeyId: &id})
	return err
}

func TestCall_Repeats(t *testing.T) {
	t.Parallel()
	ok := answer{status: 200, code: "ENABLED"}
	for name, test := range map[string]struct {
		refusal answer
		final   bool
		bound   time.Duration
	}{
		"bad request":      {answer{status: 400, code: "InvalidParameter"}, true, 0},
		"unauthenticated":  {answer{status: 401, code: "NotAuthenticated"}, true, 0},
		"not there":        {answer{status: 404, code: "NotAuthorizedOrNotFound"}, true, 0},
		"conflict":         {answer{status: 409, code: "Conflict"}, true, 0},
		"token used":       {answer{status: 409, code: "InvalidatedRetryToken"}, true, 0},
		"changed since":    {answer{status: 412, code: "NoEtagMatch"}, true, 0},
		"not implemented":  {answer{status: 501, code: "MethodNotImplemented"}, true, 0},
		"in transit":       {answer{status: 409, code: "IncorrectState"}, false, 2 * time.Minute},
		"locked":           {answer{status: 409, code: "LockConflict"}, false, 2 * time.Minute},
		"fault":            {answer{status: 500, code: "InternalServerError"}, false, 2 * time.Minute},
		"not available":    {answer{status: 503, code: "ServiceUnavailable"}, false, 2 * time.Minute},
		"connection broke": {answer{}, false, 2 * time.Minute},
		"throttled":        {answer{status: 429, code: "TooManyRequests"}, false, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := testCloud(t, Options{Retry: DefaultRetry()})
			s := serve(t, test.refusal, test.refusal, ok)
			err := create(t, c, s.URL)
			if want := map[bool]int{true: 1, false: 3}[test.final]; len(s.seen()) < want || (err != nil) != test.final {
				t.Errorf("%d requests and %v, want %d requests, and an error: %t", len(s.seen()), err, want, test.final)
			}
			token := s.seen()[0].Header.Get("opc-retry-token")
			for _, r := range s.seen() {
				if r.Header.Get("opc-retry-token") != token || token == "" {
					t.Errorf("retry tokens %q and %q in one call", token, r.Header.Get("opc-retry-token"))
				}
			}
			c, clock := testCloud(t, Options{Retry: DefaultRetry()})
			if err := create(t, c, serve(t, test.refusal).URL); err == nil {
				t.Fatal("no error from a server that never answers otherwise")
			}
			if slept := clock.slept(); slept > test.bound || !test.final && slept < test.bound*8/10 {
				t.Errorf("repeated for %s, want up to %s", slept, test.bound)
			}
			c, clock = testCloud(t, Options{})
			if err := create(t, c, serve(t, test.refusal).URL); err == nil || clock.slept() != 0 {
				t.Errorf("without retries: %v after %s", err, clock.slept())
			}
		})
	}
}

func TestCall_OtherToken(t *testing.T) {
	t.Parallel()
	c, _ := testCloud(t, Options{})
	s := serve(t, answer{status: 200, code: "ENABLED"})
	for range 2 {
		if err := create(t, c, s.URL); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := s.seen()[0].Header.Get("opc-retry-token"), s.seen()[1].Header.Get("opc-retry-token"); a == b {
		t.Errorf("two calls share the retry token %q", a)
	}
}

func TestCall_StatesAreFinal(t *testing.T) {
	t.Parallel()
	c, clock := testCloud(t, Options{Retry: Retry{Faulty: time.Hour, StatesAreFinal: true}})
	if err := create(t, c, serve(t, answer{status: 409, code: "IncorrectState"}).URL); !Conflicts(err) || clock.slept() != 0 {
		t.Errorf("%v after %s", err, clock.slept())
	}
}

func TestCall_RetryAfter(t *testing.T) {
	t.Parallel()
	c, clock := testCloud(t, Options{Retry: DefaultRetry()})
	s := serve(t, answer{status: 429, code: "TooManyRequests", retryAfter: "7"}, answer{status: 200, code: "ENABLED"})
	if err := create(t, c, s.URL); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]time.Duration{7 * time.Second}, clock.pauses); diff != "" {
		t.Error(diff)
	}
}

// Where nobody listens, the end comes soon.
func TestCall_Unreached(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	c, clock := testCloud(t, Options{Retry: DefaultRetry()})
	err = create(t, c, "http://"+listener.Addr().String())
	if err == nil || clock.slept() > 5*time.Second || clock.slept() == 0 {
		t.Errorf("%v after %s", err, clock.slept())
	}
	if text := c.Explain(err); !strings.Contains(text, "is the server running") {
		t.Errorf("explained as %q", text)
	}
}

func TestCall_Cancelled(t *testing.T) {
	t.Parallel()
	c, _ := testCloud(t, Options{Retry: DefaultRetry()})
	s := serve(t, answer{status: 503, code: "ServiceUnavailable"})
	client, err := c.Management(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.Options.Pause = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	id := "k"
	_, err = Call(ctx, c, client.CreateKeyVersion, keymanagement.CreateKeyVersionRequest{KeyId: &id})
	var refused *Refusal
	if !errors.As(err, &refused) || refused.Status != 503 || len(s.seen()) != 1 {
		t.Errorf("%v after %d requests, want what the service said last", err, len(s.seen()))
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	plain := signer()
	wrong := plain
	wrong.FingerprintOfKey = "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"
	token := plain
	token.TokenFile = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token.TokenFile, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		who   Credentials
		a     answer
		wants []string
	}{
		"hint":           {plain, answer{status: 400, code: "InvalidParameter", hint: "say it so"}, []string{"as it is", "The server explains: say it so", "CreateKeyVersion at http://127.0.0.1", "400 InvalidParameter", "request r/1"}},
		"unknown key":    {plain, answer{status: 401, code: "NotAuthenticated"}, []string{"the user ocid1.user.u of the tenancy ocid1.tenancy.t", plain.FingerprintOfKey, "clock"}},
		"fingerprint":    {wrong, answer{status: 401, code: "NotAuthenticated"}, []string{wrong.FingerprintOfKey, plain.FingerprintOfKey, "correct one of the two"}},
		"expired":        {token, answer{status: 401, code: "NotAuthenticated"}, []string{token.TokenFile, "oci session refresh"}},
		"not found":      {plain, answer{status: 404, code: "NotAuthorizedOrNotFound"}, []string{"Check the OCID"}},
		"in transit":     {plain, answer{status: 409, code: "IncorrectState"}, []string{"Apply again"}},
		"token used":     {plain, answer{status: 409, code: "InvalidatedRetryToken"}, []string{"a new request is made"}},
		"throttled":      {plain, answer{status: 429, code: "TooManyRequests"}, []string{"retry_duration_seconds"}},
		"fault":          {plain, answer{status: 500, code: "InternalServerError"}, []string{"a fault of its own"}},
		"settled states": {plain, answer{status: 409, code: "Conflict"}, []string{"as it is", "409 Conflict"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := testCloud(t, Options{Credentials: test.who})
			text := c.Explain(create(t, c, serve(t, test.a).URL))
			for _, want := range test.wants {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in:\n%s", want, text)
				}
			}
			if strings.Contains(text, "oracle.com") {
				t.Errorf("the SDK's own text is in:\n%s", text)
			}
		})
	}
}

func TestExplain_VaultService(t *testing.T) {
	t.Parallel()
	s := serve(t, answer{status: 404, code: "NotAuthorizedOrNotFound"})
	c, _ := testCloud(t, Options{VaultEndpoint: s.URL})
	if text := c.Explain(create(t, c, s.URL)); !strings.Contains(text, "is the address of the vault service") {
		t.Error(text)
	}
	vaults, err := c.Vaults()
	if err != nil {
		t.Fatal(err)
	}
	id := "v"
	_, err = Call(t.Context(), c, vaults.GetVault, keymanagement.GetVaultRequest{VaultId: &id})
	if text := c.Explain(err); !strings.Contains(text, "Check the OCID") {
		t.Error(text)
	}
}

func TestTransport(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"lifecycleState":"ENABLED"}`) }))
	t.Cleanup(s.Close)
	dir := t.TempDir()
	file := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := file("ca.pem", pemOf(s.Certificate().Raw))
	for name, test := range map[string]struct {
		transport Transport
		endpoint  string
		says      string
	}{
		"unknown authority": {Transport{}, s.URL, "custom_cert_location"},
		"known authority":   {Transport{CertFile: ca}, s.URL, ""},
		"any certificate":   {Transport{SkipVerify: true}, s.URL, ""},
		"no scheme":         {Transport{CertFile: ca}, s.Listener.Addr().String(), ""},
		"plain HTTP":        {Transport{}, "https://" + serve(t, answer{status: 200}).Listener.Addr().String(), "begin the address with http://"},
		"a path":            {Transport{}, s.URL + "/20180608", "without a path"},
		"no such host":      {Transport{}, "http://nowhere.invalid", "nobody knows"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := testCloud(t, Options{Transport: test.transport})
			err := create(t, c, test.endpoint)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(c.Explain(err), test.says) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
	for name, path := range map[string]string{"missing": filepath.Join(dir, "none"), "empty": file("empty", "")} {
		if _, err := New(Options{Transport: Transport{CertFile: path}}); err == nil {
			t.Errorf("a certificate file that is %s was taken", name)
		}
	}
}
