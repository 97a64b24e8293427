// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

const testRegion = "cn-hangzhou"

// cloud is the dialect behind a socket, with a client that signs on its own: nothing of the
// code under test is used to make a request.
type cloud struct {
	*kmstest.World
	url, host string
	nonce     atomic.Int64
}

func newCloud(t testing.TB, opts ...any) *cloud {
	t.Helper()
	cfg := Config{
		Regions: map[keys.Region]string{kmstest.Region: testRegion}, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler), Hints: true,
	}
	var world []kmstest.Option
	for _, opt := range opts {
		if opt, ok := opt.(kmstest.Option); ok {
			world = append(world, opt)
		}
	}
	c := &cloud{World: kmstest.New(t, world...)}
	cfg.Service, cfg.Now = c.Service, c.Clock.Now
	for _, opt := range opts {
		if change, ok := opt.(func(*Config)); ok {
			change(&cfg)
		}
	}
	server := httptest.NewServer(New(cfg).Handler(kmstest.Region))
	t.Cleanup(server.Close)
	c.url, c.host = server.URL, strings.TrimPrefix(server.URL, "http://")
	return c
}

// limited makes a limiter by the world's clock.
func limited(rates map[string]float64) func(*Config) {
	return func(cfg *Config) { cfg.Limiter = dialect.NewLimiter(cfg.Now, rates) }
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) String() string { return fmt.Sprintf("%d %s", r.status, r.body) }

// at reads a value of a JSON answer by its path; "" when it is not there.
func (r reply) at(path string) string {
	var v any
	if json.Unmarshal([]byte(r.body), &v) != nil {
		return ""
	}
	for name := range strings.SplitSeq(path, ".") {
		switch of := v.(type) {
		case map[string]any:
			v = of[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(of) {
				return ""
			}
			v = of[i]
		default:
			return ""
		}
	}
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64, bool:
		return fmt.Sprint(v)
	}
	b, _ := json.Marshal(v)
	return string(b)
}

func (r reply) has(path string) bool {
	var v any
	_ = json.Unmarshal([]byte(r.body), &v)
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return false
		}
		if v, ok = m[name]; !ok {
			return false
		}
	}
	return true
}

// code is "status Code" of a refusal, "200" of a success.
func (r reply) code() string {
	if r.status == http.StatusOK {
		return "200"
	}
	return fmt.Sprintf("%d %s", r.status, r.at("Code"))
}

// pe encodes as the signing pages say, by way of the standard library.
func pe(s string) string {
	return strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(url.QueryEscape(s))
}

func canonical(values url.Values) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if name == "Signature" {
			continue
		}
		pairs = append(pairs, pe(name)+"="+pe(values.Get(name)))
	}
	return strings.Join(pairs, "&")
}

func signV1(method, secret string, values url.Values) string {
	mac := hmac.New(sha1.New, []byte(secret+"&"))
	mac.Write([]byte(method + "&%2F&" + pe(canonical(values))))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (c *cloud) newNonce() string { return fmt.Sprintf("%032x", c.nonce.Add(1)) }

func (c *cloud) now() string { return c.Clock.Now().UTC().Format(timeLayout) }

// common are the common parameters of version 1.
func (c *cloud) common(who kmstest.Tenant, action string) url.Values {
	return url.Values{
		"Action": {action}, "Version": {apiVersion}, "AccessKeyId": {who.AccessKey}, "SignatureMethod": {"HMAC-SHA1"},
		"SignatureVersion": {"1.0"}, "SignatureNonce": {c.newNonce()}, "Timestamp": {c.now()}, "Format": {"JSON"},
	}
}

// call is an operation of the first tenant's administrator; each parameter is "Name=value".
func (c *cloud) call(t testing.TB, action string, params ...string) reply {
	t.Helper()
	return c.callAs(t, c.Tenant, action, params...)
}

func (c *cloud) callAs(t testing.TB, who kmstest.Tenant, action string, params ...string) reply {
	t.Helper()
	values := c.common(who, action)
	set(values, params)
	return c.sendV1(t, http.MethodPost, who.Secret, values, nil)
}

func set(values url.Values, params []string) {
	for _, p := range params {
		if name, value, _ := strings.Cut(p, "="); name != "" {
			values.Set(name, value)
		}
	}
}

// sendV1 signs and sends; names in form travel in the body.
func (c *cloud) sendV1(t testing.TB, method, secret string, values url.Values, form []string) reply {
	t.Helper()
	values.Set("Signature", signV1(method, secret, values))
	query, body := url.Values{}, url.Values{}
	for name := range values {
		if slices.Contains(form, name) {
			body.Set(name, values.Get(name))
		} else {
			query.Set(name, values.Get(name))
		}
	}
	header := http.Header{}
	if len(form) > 0 {
		header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return c.send(t, method, "/?"+query.Encode(), header, body.Encode())
}

// callACS3 is an operation signed by ACS3-HMAC-SHA256, its parameters in the query.
func (c *cloud) callACS3(t testing.TB, who kmstest.Tenant, action string, params ...string) reply {
	t.Helper()
	values := url.Values{}
	set(values, params)
	return c.sendACS3(t, http.MethodPost, who, action, values, "", nil)
}

func (c *cloud) sendACS3(t testing.TB, method string, who kmstest.Tenant, action string, values url.Values, body string, change func(http.Header)) reply {
	t.Helper()
	h := c.headersACS3(method, who, action, values, body, change)
	return c.send(t, method, "/?"+values.Encode(), h, body)
}

// headersACS3 signs; change may alter the headers before that.
func (c *cloud) headersACS3(method string, who kmstest.Tenant, action string, values url.Values, body string, change func(http.Header)) http.Header {
	return c.headersAt("/", method, who, action, values, body, change)
}

func (c *cloud) headersAt(path, method string, who kmstest.Tenant, action string, values url.Values, body string, change func(http.Header)) http.Header {
	hash := sha256.Sum256([]byte(body))
	h := http.Header{}
	for name, value := range map[string]string{
		"X-Acs-Action": action, "X-Acs-Version": apiVersion, "X-Acs-Date": c.now(), "X-Acs-Signature-Nonce": c.newNonce(),
		"X-Acs-Content-Sha256": hex.EncodeToString(hash[:]),
	} {
		h.Set(name, value)
	}
	if body != "" {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if change != nil {
		change(h)
	}
	signed := map[string]string{"host": c.host}
	for name := range h {
		if name == "Content-Type" || strings.HasPrefix(name, "X-Acs-") {
			signed[strings.ToLower(name)] = h.Get(name)
		}
	}
	names := slices.Sorted(maps.Keys(signed))
	request := method + "\n" + path + "\n" + canonical(values) + "\n"
	for _, name := range names {
		request += name + ":" + signed[name] + "\n"
	}
	request += "\n" + strings.Join(names, ";") + "\n" + signed["x-acs-content-sha256"]
	sum := sha256.Sum256([]byte(request))
	mac := hmac.New(sha256.New, []byte(who.Secret))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hex.EncodeToString(sum[:])))
	h.Set("Authorization", "ACS3-HMAC-SHA256 Credential="+who.AccessKey+",SignedHeaders="+strings.Join(names, ";")+",Signature="+hex.EncodeToString(mac.Sum(nil)))
	return h
}

// send sends a request as it is.
func (c *cloud) send(t testing.TB, method, target string, header http.Header, body string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, c.url+target, strings.NewReader(body))
	if err != nil {
		t.Fatalf("make request: %v", err)
	}
	maps.Copy(r.Header, header)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("send request: %v", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	return reply{resp.StatusCode, resp.Header, string(b)}
}

// must fails the test unless the call worked.
func (c *cloud) must(t testing.TB, action string, params ...string) reply {
	t.Helper()
	r := c.call(t, action, params...)
	if r.status != http.StatusOK {
		t.Fatalf("%s %q: %s\n%s", action, params, r, r.header.Get(dialect.HintHeader))
	}
	return r
}

// newKey makes a key and answers its id.
func (c *cloud) newKey(t testing.TB, params ...string) string {
	t.Helper()
	return c.must(t, "CreateKey", params...).at("KeyMetadata.KeyId")
}

// oneVersion is the id of a key's first version.
func (c *cloud) oneVersion(t testing.TB, key string) string {
	t.Helper()
	return c.must(t, "ListKeyVersions", "KeyId="+key).at("KeyVersions.KeyVersion.0.KeyVersionId")
}

// change rewrites a key's record behind the service's back: for states that no operation of
// this cloud leads to.
func (c *cloud) change(t testing.TB, key string, f func(*keys.Key)) {
	t.Helper()
	id, err := keys.ParseID(key)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Store.Update(context.Background(), func(tx store.Tx) error {
		k, err := store.LoadKey(tx, id)
		if err != nil {
			return err
		}
		f(k)
		return tx.Put(k)
	})
	if err != nil {
		t.Fatalf("change key: %v", err)
	}
}

// newVault makes a vault of the first tenant, as other clouds do.
func (c *cloud) newVault(t testing.TB, name string) keys.ID {
	t.Helper()
	call := c.Call(t, c.Tenant)
	defer call.End()
	v, err := c.CreateVault(context.Background(), call, kms.NewVault{Name: name, Kind: keys.SharedVault})
	if err != nil {
		t.Fatalf("create vault: %v", err)
	}
	return v.ID
}

// otherKey makes a key of another cloud's kind in the first tenant.
func (c *cloud) otherKey(t testing.TB, spec keys.Spec, usages keys.Usage) string {
	t.Helper()
	call := c.Call(t, c.Tenant)
	defer call.End()
	k, err := c.CreateKey(context.Background(), call, kms.NewKey{Spec: spec, Usages: usages, Origin: keys.Generated, Protection: keys.Software})
	if err != nil {
		t.Fatalf("create key: %v", err)
	}
	return KeyName(k.ID)
}
