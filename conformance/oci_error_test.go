// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
	"claviger/conformance/internal/sign"
)

// Who is not known, or cannot prove it, gets one answer for every cause.
func TestOCINotAuthenticated(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	access := server.Ready.OCI
	key := *throughOCI(t, server).createKey(t, aesShape(32)).Id

	otherUser := access
	otherUser.User = strings.Replace(access.User, "ocid1.user.oc1..", "ocid1.user.oc1..x", 1)
	otherPrint := access
	otherPrint.Fingerprint = "00" + access.Fingerprint[2:]
	if otherPrint == access {
		otherPrint.Fingerprint = "01" + access.Fingerprint[2:]
	}

	var messages []string
	for name, clients := range map[string]oracle.Clients{
		"another private key": oracle.WithKey(t, access, newAPIKey(t).private),
		"another user":        oracle.New(t, otherUser),
		"another fingerprint": oracle.New(t, otherPrint),
	} {
		_, err := clients.Management.GetKey(t.Context(), keymanagement.GetKeyRequest{KeyId: &key})
		want(t, name, oracle.Refusal(err), "401 NotAuthenticated")
		var refused common.ServiceError
		if errors.As(err, &refused) {
			messages = append(messages, refused.GetMessage())
		}
	}
	for _, message := range messages[1:] {
		want(t, "message, whatever the cause", message, messages[0])
	}
}

// The SDK's own requests, with a Date that an interceptor moves before it is signed.
func TestOCIClockSkew(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	key := *throughOCI(t, server).createKey(t, aesShape(32)).Id
	server.Admin.Advance(t, 30*day) // the signature is judged by the machine's time, not by this
	for _, test := range []struct {
		skew   time.Duration
		wanted string
	}{
		{-6 * time.Minute, "401 NotAuthenticated"},
		{-4 * time.Minute, "200"},
		{0, "200"},
		{4 * time.Minute, "200"},
		{6 * time.Minute, "401 NotAuthenticated"},
	} {
		clients := oracle.New(t, server.Ready.OCI)
		clients.Management.Interceptor = func(req *http.Request) error {
			req.Header.Set("Date", time.Now().Add(test.skew).UTC().Format(http.TimeFormat))
			return nil
		}
		_, err := clients.Management.GetKey(t.Context(), keymanagement.GetKeyRequest{KeyId: &key})
		want(t, "a clock that is off by "+test.skew.String(), oracle.Refusal(err), test.wanted)
	}
}

// Every header form of Oracle's SDKs is understood, with and without a body, and nothing that was
// signed may change on the way.
func TestOCISignatureForms(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	access := server.Ready.OCI
	caller := oracle.SigningKey(t, access)
	key := *throughOCI(t, server).createKey(t, aesShape(32)).Id
	target := access.ManagementEndpoint + "/20180608/keys/" + key
	for _, form := range sign.Forms() {
		t.Run(form.Name, func(t *testing.T) {
			get := rawOCI{key: caller, form: form, method: http.MethodGet, url: target}
			put := rawOCI{key: caller, form: form, method: http.MethodPut, url: target, body: `{"displayName":"` + form.Name + `"}`}
			empty := rawOCI{key: caller, form: form, method: http.MethodPost, url: target + "/keyVersions"}
			list := get
			list.url = access.ManagementEndpoint + "/20180608/keys?limit=3&compartmentId=" + strings.ReplaceAll(access.Compartment, ".", "%2E")
			for name, request := range map[string]rawOCI{"GET": get, "PUT": put, "POST without a body": empty, "GET with a query": list} {
				want(t, name, request.send(t).refusal(), "200")
			}
			for name, spoil := range map[string]func(*http.Request){
				"another date":     func(r *http.Request) { r.Header.Set("X-Date", "x"); r.Header.Set("Date", "x") },
				"another path":     func(r *http.Request) { r.URL.Path += "x" },
				"another query":    func(r *http.Request) { r.URL.RawQuery = "x=y" },
				"another host":     func(r *http.Request) { r.Host = "example.org" },
				"another body":     func(r *http.Request) { r.Body = http.NoBody; r.ContentLength = 0 },
				"another method":   func(r *http.Request) { r.Method = http.MethodGet },
				"another digest":   func(r *http.Request) { r.Header.Set("X-Content-Sha256", "x") },
				"no Authorization": func(r *http.Request) { r.Header.Del("Authorization") },
				"another scheme":   func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") },
				"no host signed": func(r *http.Request) {
					r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), " host", "", 1))
				},
			} {
				request := put
				request.spoil = spoil
				answer := request.send(t)
				if name == "another host" { // an unknown host has no vault, so either is right
					if answer.status == http.StatusNotFound {
						continue
					}
				}
				want(t, name, answer.refusal(), "401 NotAuthenticated")
				if answer.header.Get("opc-request-id") == "" {
					t.Errorf("%s: no opc-request-id", name)
				}
			}
		})
	}
}

// If-match: the etag of the last answer is accepted, any older one is refused, and each change of
// the resource changes it.
func TestOCIStaleEtag(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	key := *o.createKey(t, aesShape(32)).Id
	seen := map[string]string{}
	note := func(after string, etag *string) string {
		t.Helper()
		if etag == nil || *etag == "" {
			t.Fatalf("no etag after %s", after)
		}
		if earlier, ok := seen[*etag]; ok {
			t.Errorf("the etag after %s is the one after %s", after, earlier)
		}
		seen[*etag] = after
		return *etag
	}
	first := note("CreateKey", o.key(t, key).Etag)
	update := func(name string, etag *string) (keymanagement.UpdateKeyResponse, error) {
		return o.Management.UpdateKey(t.Context(), keymanagement.UpdateKeyRequest{
			KeyId: &key, IfMatch: etag, UpdateKeyDetails: keymanagement.UpdateKeyDetails{DisplayName: &name},
		})
	}
	updated, err := update("second", &first)
	if err != nil {
		t.Fatalf("UpdateKey with the current etag: %v", err)
	}
	second := note("UpdateKey", updated.Etag)
	if got := o.key(t, key).Etag; *got != second {
		t.Errorf("GetKey shows etag %s, UpdateKey showed %s", *got, second)
	}
	_, err = update("third", &first)
	want(t, "UpdateKey with the etag before", oracle.Refusal(err), "412 NoEtagMatch")
	disable := func(etag string) (keymanagement.DisableKeyResponse, error) {
		return o.Management.DisableKey(t.Context(), keymanagement.DisableKeyRequest{KeyId: &key, IfMatch: &etag})
	}
	_, err = disable(first)
	want(t, "DisableKey with an old etag", oracle.Refusal(err), "412 NoEtagMatch")
	want(t, "name after refusals", *o.key(t, key).DisplayName, "second")
	disabled, err := disable(second)
	if err != nil {
		t.Fatalf("DisableKey with the current etag: %v", err)
	}
	note("DisableKey", disabled.Etag)
	enabled, err := o.Management.EnableKey(t.Context(), keymanagement.EnableKeyRequest{KeyId: &key})
	if err != nil {
		t.Fatalf("EnableKey without an etag: %v", err)
	}
	note("EnableKey", enabled.Etag)
	o.createVersion(t, key)
	note("CreateKeyVersion", o.key(t, key).Etag)
}

// A retry token makes a repeat harmless, also when both arrive at once, and belongs to one request.
func TestOCIRetryToken(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	key := *o.createKey(t, aesShape(32)).Id
	create := func(token string) keymanagement.CreateKeyVersionResponse {
		made, err := o.Management.CreateKeyVersion(t.Context(),
			keymanagement.CreateKeyVersionRequest{KeyId: &key, OpcRetryToken: &token})
		if err != nil {
			t.Errorf("CreateKeyVersion: %v", err)
		}
		return made
	}
	first := create("token-1")
	again := create("token-1")
	want(t, "version of the repeat", *again.Id, *first.Id)
	want(t, "etag of the repeat", *again.Etag, *first.Etag)
	want(t, "version of another token", map[bool]string{true: "the same", false: "another"}[*create("token-2").Id == *first.Id], "another")

	ids := make([]string, 8)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			if made := create("token-3"); made.Id != nil {
				ids[i] = *made.Id
			}
		})
	}
	group.Wait()
	for _, id := range ids {
		want(t, "version of repeats at once", id, ids[0])
	}
	if listed := o.pages(t, key, 100, ""); len(listed[0]) != 4 {
		t.Errorf("%d versions, want the first and one per token", len(listed[0]))
	}

	named := func(name string) string {
		_, err := o.Management.CreateKey(t.Context(), keymanagement.CreateKeyRequest{
			OpcRetryToken: common.String("token-4"),
			CreateKeyDetails: keymanagement.CreateKeyDetails{
				CompartmentId: &o.compartment, DisplayName: &name, KeyShape: &keymanagement.KeyShape{Algorithm: "AES", Length: common.Int(32)},
			},
		})
		return oracle.Refusal(err)
	}
	want(t, "first use of the token", named("one"), "200")
	want(t, "same token, same request", named("one"), "200")
	want(t, "same token, another request", named("two"), "409 InvalidatedRetryToken")
	other := *o.createKey(t, aesShape(16)).Id
	_, err := o.Management.CreateKeyVersion(t.Context(),
		keymanagement.CreateKeyVersionRequest{KeyId: &other, OpcRetryToken: common.String("token-1")})
	want(t, "same token, another key", oracle.Refusal(err), "409 InvalidatedRetryToken")
}

// What is refused, and as what.
func TestOCIRefusals(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	access := server.Ready.OCI
	aes, rsaKey := o.createKey(t, aesShape(32)), o.createKey(t, rsaShape(256))
	unknown := (*aes.Id)[:len(*aes.Id)-1] + map[bool]string{true: "b", false: "a"}[strings.HasSuffix(*aes.Id, "a")]
	caller := oracle.SigningKey(t, access)
	for _, test := range []struct {
		name, method, endpoint, path, body, wanted string
	}{
		{"unknown key", "GET", access.ManagementEndpoint, "keys/" + unknown, "", "404 NotAuthorizedOrNotFound"},
		{"key that is no id", "GET", access.ManagementEndpoint, "keys/nonsense", "", "404 NotAuthorizedOrNotFound"},
		{"version of another key", "GET", access.ManagementEndpoint, "keys/" + *aes.Id + "/keyVersions/" + *rsaKey.CurrentKeyVersion, "", "404 NotAuthorizedOrNotFound"},
		{"encrypt with an unknown key", "POST", access.CryptoEndpoint, "encrypt", `{"keyId":"` + unknown + `","plaintext":"QQ=="}`, "404 NotAuthorizedOrNotFound"},
		{"keys on the vault service", "POST", access.VaultEndpoint, "keys", `{}`, "404"},
		{"no such path", "GET", access.ManagementEndpoint, "locks", "", "404 NotFound"},
		{"method not supported", "DELETE", access.ManagementEndpoint, "keys/" + *aes.Id, "", "405 MethodNotAllowed"},
		{"JSON that does not parse", "POST", access.ManagementEndpoint, "keys", `{"displayName":`, "400 CannotParseRequest"},
		{"wrong type", "POST", access.ManagementEndpoint, "keys", `{"displayName":7}`, "400 CannotParseRequest"},
		{"missing field", "POST", access.ManagementEndpoint, "keys", `{"compartmentId":"` + access.Compartment + `","displayName":"k"}`, "400 MissingParameter"},
		{"missing query parameter", "GET", access.ManagementEndpoint, "keys", "", "400 MissingParameter"},
		{"key length that no AES has", "POST", access.ManagementEndpoint, "keys", `{"compartmentId":"` + access.Compartment + `","displayName":"k","keyShape":{"algorithm":"AES","length":17}}`, "400 InvalidParameter"},
		{"plaintext that is not base64", "POST", access.CryptoEndpoint, "encrypt", `{"keyId":"` + *aes.Id + `","plaintext":"*"}`, "400 InvalidParameter"},
		{"ciphertext that is none", "POST", access.CryptoEndpoint, "decrypt", `{"keyId":"` + *aes.Id + `","ciphertext":"QQ=="}`, "400 InvalidParameter"},
		{"sign with an AES key", "POST", access.CryptoEndpoint, "sign", `{"keyId":"` + *aes.Id + `","message":"QQ==","signingAlgorithm":"ECDSA_SHA_256"}`, "400 InvalidParameter"},
		{"algorithm of another key", "POST", access.CryptoEndpoint, "encrypt", `{"keyId":"` + *aes.Id + `","plaintext":"QQ==","encryptionAlgorithm":"RSA_OAEP_SHA_1"}`, "400 InvalidParameter"},
		{"deletion of the current version", "POST", access.ManagementEndpoint, "keys/" + *aes.Id + "/keyVersions/" + *aes.CurrentKeyVersion + "/actions/scheduleDeletion", `{}`, "409 Conflict"},
		{"cancelling what is not scheduled", "POST", access.ManagementEndpoint, "keys/" + *aes.Id + "/actions/cancelDeletion", "", "409 Conflict"},
		{"enabling what is enabled", "POST", access.ManagementEndpoint, "keys/" + *aes.Id + "/actions/enable", "", "409 Conflict"},
		{"deletion too soon", "POST", access.ManagementEndpoint, "keys/" + *aes.Id + "/actions/scheduleDeletion", `{"timeOfDeletion":"` + time.Now().Add(6*day).Format(time.RFC3339) + `"}`, "400 InvalidParameter"},
		{"deletion too late", "POST", access.ManagementEndpoint, "keys/" + *aes.Id + "/actions/scheduleDeletion", `{"timeOfDeletion":"` + time.Now().Add(31*day).Format(time.RFC3339) + `"}`, "400 InvalidParameter"},
		{"body that is too large", "POST", access.CryptoEndpoint, "encrypt", `{"keyId":"` + *aes.Id + `","plaintext":"` + string(bytes.Repeat([]byte("AAAA"), 4<<20)) + `"}`, "413 RequestEntityTooLarge"},
	} {
		answer := rawOCI{
			key: caller, method: test.method, url: test.endpoint + "/20180608/" + test.path, body: test.body,
			header: map[string]string{"opc-request-id": "mine"},
		}.send(t)
		if got := answer.refusal(); !strings.HasPrefix(got, test.wanted) {
			t.Errorf("%s: answered %q, want %q", test.name, got, test.wanted)
		}
		if id := answer.header.Get("opc-request-id"); !strings.Contains(id, "mine") {
			t.Errorf("%s: opc-request-id %q does not hold the client's", test.name, id)
		}
		if contentType := answer.header.Get("Content-Type"); !strings.HasPrefix(contentType, "application/json") {
			t.Errorf("%s: Content-Type %q", test.name, contentType)
		}
		if answer.header.Get("x-claviger-hint") == "" {
			t.Errorf("%s: no hint", test.name)
		}
		for _, phrase := range []string{"does not exist", " not present in ", "not found"} {
			// Terraform drops a resource whose error holds one of these.
			if answer.status != http.StatusNotFound && bytes.Contains(answer.body, []byte(phrase)) {
				t.Errorf("%s: the message of a %d says %q", test.name, answer.status, phrase)
			}
		}
	}
}

// Twenty refusals in a row for settled reasons leave the SDK's circuit breaker shut.
func TestOCICircuitBreakerStaysShut(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	key := *o.createKey(t, aesShape(32)).Id
	for range 20 {
		_, err := o.Management.EnableKey(t.Context(), keymanagement.EnableKeyRequest{KeyId: &key})
		want(t, "EnableKey of an enabled key", oracle.Refusal(err), "409 Conflict")
	}
	o.key(t, key)
}
