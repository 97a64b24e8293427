// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// flood sends the same kind of request from several callers until one is answered otherwise than
// 200, at most limit times, and returns that answer and how many were sent. The limits are counted
// on the machine's clock, so limit must be far above what can be sent in the time they allow.
func flood(limit int, request func() answer) (refused answer, sent int) {
	return floodFrom(8, limit, request)
}

// floodFrom is flood with a number of callers.
func floodFrom(callers, limit int, request func() answer) (refused answer, sent int) {
	var mu sync.Mutex
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for {
				mu.Lock()
				if sent == limit || refused.status != 0 {
					mu.Unlock()
					return
				}
				sent++
				mu.Unlock()
				if answer := request(); answer.status != http.StatusOK {
					mu.Lock()
					refused = answer
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	return refused, sent
}

// Each class of OCI's operations has ten requests a second and tenancy, of its own.
func TestOCIThrottling(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{Limits: "cloud"})
	access := server.Ready.OCI
	caller := oracle.SigningKey(t, access)
	o := throughOCI(t, server)
	key := o.createKey(t, aesShape(32))
	management := func(method, path, body string) func() answer {
		return func() answer {
			return rawOCI{key: caller, method: method, url: access.ManagementEndpoint + "/20180608/" + path, body: body}.send(t)
		}
	}
	for _, class := range []struct {
		name    string
		request func() answer
	}{
		{"management write", management("PUT", "keys/"+*key.Id, `{"displayName":"again"}`)},
		{"management read", management("GET", "keys/"+*key.Id, "")},
		{"provisioning read", func() answer {
			return rawOCI{key: caller, method: "GET", url: access.VaultEndpoint + "/20180608/vaults/" + access.VaultID}.send(t)
		}},
	} {
		refused, sent := flood(500, class.request)
		want(t, class.name+" after "+strconv.Itoa(sent)+" requests", refused.refusal(), "429 TooManyRequests")
		seconds, err := strconv.Atoi(refused.header.Get("Retry-After"))
		if err != nil || seconds < 1 {
			t.Errorf("%s: Retry-After %q, want whole seconds", class.name, refused.header.Get("Retry-After"))
		}
		if sent < 10 {
			t.Errorf("%s: refused after %d requests, ten a second are allowed", class.name, sent)
		}
	}
	// Data calls are not throttled.
	for range 30 {
		if _, err := o.encrypt(t.Context(), *key.Id, []byte("x"), nil, ""); err != nil {
			t.Fatalf("Encrypt: %v", err)
		}
	}
}

// Alibaba's asymmetric operations have 200 requests a second and account.
func TestAlibabaThrottling(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{Limits: "cloud"})
	a := throughAlibaba(t, server, alibaba.ACS3)
	key := a.createKey(t, "EC_P256", forSigning).KeyID
	version := a.versions(t, key)[0]
	caller := rawCaller(server)
	caller.action, caller.params = "GetPublicKey", url.Values{"KeyId": {key}, "KeyVersionId": {version}}
	refused, sent := flood(4000, func() answer { return caller.send(t) })
	want(t, "after "+strconv.Itoa(sent)+" requests", refused.refusal(), "429 Rejected.Throttling")
	milliseconds, err := strconv.Atoi(refused.header.Get("x-acs-retry-after"))
	if err != nil || milliseconds < 1 {
		t.Errorf("x-acs-retry-after %q, want whole milliseconds", refused.header.Get("x-acs-retry-after"))
	}
	if sent < 200 {
		t.Errorf("refused after %d requests, 200 a second are allowed", sent)
	}
	a.key(t, key) // reads are not throttled
}

// Asked for no limits, the server has none.
func TestLimitsOff(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{Limits: "off"})
	caller := oracle.SigningKey(t, server.Ready.OCI)
	refused, sent := flood(100, func() answer {
		return rawOCI{key: caller, method: "GET", url: server.Ready.OCI.VaultEndpoint + "/20180608/vaults/" + server.Ready.OCI.VaultID}.send(t)
	})
	if sent != 100 || refused.status != 0 {
		t.Errorf("after %d requests: %s", sent, refused.refusal())
	}
}
