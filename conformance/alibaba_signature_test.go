// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
	"claviger/conformance/internal/sign"
)

// Every way of sending a call is understood, with values that each client encodes otherwise.
func TestAlibabaWays(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	caller := rawCaller(server)
	key := throughAlibaba(t, server, alibaba.ACS3).createKey(t, "Aliyun_AES_256", forEncryption).KeyID
	const text = "a+b/c=d*e~f'g(h)i!j k\nключ 密"
	for _, way := range ways() {
		t.Run(way, func(t *testing.T) {
			caller := caller
			caller.way = way
			caller.action, caller.params = "Encrypt", url.Values{
				"KeyId": {key}, "Plaintext": {text}, "EncryptionContext": {`{"k v":"é*~"}`}, "NoSuchParameter": {""},
			}
			var sealed, opened struct {
				CiphertextBlob, Plaintext, KeyId string
			}
			answer := caller.send(t)
			want(t, "Encrypt", answer.refusal(), "200")
			if contentType := answer.header.Get("Content-Type"); !strings.HasPrefix(contentType, "application/json") {
				t.Errorf("Content-Type %q, want JSON by default", contentType)
			}
			answer.into(t, &sealed)
			caller.action, caller.params = "Decrypt", url.Values{
				"CiphertextBlob": {sealed.CiphertextBlob}, "EncryptionContext.k v": {"é*~"}, // flattened, as one SDK sends it
			}
			answer = caller.send(t)
			want(t, "Decrypt", answer.refusal(), "200")
			answer.into(t, &opened)
			want(t, "plaintext", opened.Plaintext, text)
			want(t, "KeyId", opened.KeyId, key)
		})
	}
}

// A wrong secret, through each SDK. The classic one finds its own string to sign in the message and
// concludes that the secret is at fault.
func TestAlibabaWrongSecret(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	for _, g := range alibaba.Generations() {
		wrong := aliWith(t, server, g, server.Ready.Alibaba.AccessKeyID, "not the secret")
		_, err := wrong.Call("ListKeys", alibaba.Params{})
		want(t, string(g), alibaba.Refusal(err), "400 SignatureDoesNotMatch")
		var refused *alibaba.Error
		if !errors.As(err, &refused) {
			continue
		}
		if g != alibaba.ACS3 && !strings.Contains(refused.Message, "server string to sign is:") {
			t.Errorf("%s: message %q does not name the string to sign", g, refused.Message)
		}
		if g == alibaba.Classic && !strings.Contains(refused.Recommend, "InvalidAccessKeySecret") {
			t.Errorf("%s: the SDK recommends %q, want it to blame the secret", g, refused.Recommend)
		}
		if refused.RequestID == "" {
			t.Errorf("%s: no RequestId", g)
		}
		unknown := aliWith(t, server, g, "LTAInobody", server.Ready.Alibaba.AccessKeySecret)
		want(t, string(g)+", unknown access key", unknown.refusal("ListKeys", alibaba.Params{}), "404 InvalidAccessKeyId.NotFound")
	}
}

// Fifteen minutes either way are allowed, by the machine's time.
func TestAlibabaClockSkew(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	server.Admin.Advance(t, 30*day) // must not matter
	for _, way := range ways() {
		for skew, wanted := range map[time.Duration]string{
			-16 * time.Minute: "400 InvalidTimeStamp.Expired",
			14 * time.Minute:  "200",
			16 * time.Minute:  "400 InvalidTimeStamp.Expired",
		} {
			caller := rawCaller(server)
			caller.way, caller.action, caller.at = way, "ListKeys", time.Now().Add(skew)
			want(t, way+", off by "+skew.String(), caller.send(t).refusal(), wanted)
		}
	}
}

// A nonce serves once per access key, and only if the signature was right.
func TestAlibabaReplayedNonce(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	key := throughAlibaba(t, server, alibaba.ACS3).createKey(t, "Aliyun_AES_256", forEncryption).KeyID
	for _, way := range ways() {
		for _, call := range []struct {
			action string
			params url.Values
		}{
			{"Encrypt", url.Values{"KeyId": {key}, "Plaintext": {"QQ=="}}},             // a data call
			{"DescribeKey", url.Values{"KeyId": {key}}},                                // a read
			{"UpdateKeyDescription", url.Values{"KeyId": {key}, "Description": {"x"}}}, // a change
		} {
			caller := rawCaller(server)
			caller.way, caller.action, caller.params, caller.nonce = way, call.action, call.params, freshNonce(t)
			forged := caller
			forged.key.Secret = "wrong"
			want(t, way+" "+call.action+", forged", forged.send(t).refusal(), "400 SignatureDoesNotMatch")
			want(t, way+" "+call.action+", once", caller.send(t).refusal(), "200")
			want(t, way+" "+call.action+", twice", caller.send(t).refusal(), "400 SignatureNonceUsed")
		}
	}
}

// Nothing that was signed may change on the way.
func TestAlibabaTampered(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	for _, way := range ways() {
		acs3 := way == wayACS3 || way == wayACS3Get
		for name, spoil := range map[string]func(*http.Request){
			"another parameter": func(r *http.Request) { r.URL.RawQuery += "&KeyId=x" },
			"another action": func(r *http.Request) {
				if acs3 {
					r.Header.Set("x-acs-action", "CreateKey")
				} else {
					r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "ListKeys", "CreateKey", 1) + "&x=y"
				}
			},
			"another body": func(r *http.Request) {
				if r.Method == http.MethodPost {
					body := newRequest(t, http.MethodPost, "http://h/", "x=y").Body
					r.Body, r.ContentLength = body, 3
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				} else {
					r.URL.RawQuery += "&x=y"
				}
			},
		} {
			caller := rawCaller(server)
			caller.way, caller.action, caller.spoil = way, "ListKeys", spoil
			answer := caller.send(t)
			if answer.status != http.StatusBadRequest {
				t.Errorf("%s, %s: answered %q, want a 400", way, name, answer.refusal())
			}
		}
	}
}

// What the gateway refuses before it looks at the operation.
func TestAlibabaGateway(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	caller := rawCaller(server)
	caller.way, caller.action = wayV1Query, "ListKeys"
	drop := func(name string) func(*http.Request) {
		return func(r *http.Request) {
			query := r.URL.Query()
			query.Del(name)
			resign(r, query, caller.key)
		}
	}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			query := r.URL.Query()
			query.Set(name, value)
			resign(r, query, caller.key)
		}
	}
	for _, test := range []struct {
		name, wanted string
		spoil        func(*http.Request)
	}{
		{"no such operation", "404 InvalidAction.NotFound", set("Action", "OpenSesame")},
		{"another version", "400 InvalidVersion", set("Version", "2015-01-20")},
		{"a format that is none", "400 InvalidParameter.Format", set("Format", "YAML")},
		{"a method that is none", "403 UnsupportedHTTPMethod", func(r *http.Request) { r.Method = http.MethodPut }},
		{"another signature method", "400 InvalidSignatureMethod", set("SignatureMethod", "HMAC-MD5")},
		{"a timestamp that is none", "400 InvalidTimeStamp.Format", set("Timestamp", "today")},
		{"no Action", "400 MissingAction", drop("Action")},
		{"no AccessKeyId", "400 MissingAccessKeyId", drop("AccessKeyId")},
		{"no SignatureMethod", "400 MissingSignatureMethod", drop("SignatureMethod")},
		{"no Signature", "400 MissingSignature", func(r *http.Request) {
			query := r.URL.Query()
			query.Del("Signature")
			r.URL.RawQuery = query.Encode()
		}},
	} {
		caller := caller
		caller.spoil = test.spoil
		answer := caller.send(t)
		want(t, test.name, answer.refusal(), test.wanted)
		var body struct{ RequestId, Message, HostId string }
		answer.into(t, &body)
		if body.RequestId == "" || body.Message == "" || body.HostId == "" {
			t.Errorf("%s: body %s lacks RequestId, Message or HostId", test.name, answer.body)
		}
		want(t, test.name+": x-acs-request-id", answer.header.Get("x-acs-request-id"), body.RequestId)
	}
	for name, values := range map[string][]string{"another region": {"cn-beijing"}, "its own region": {server.Ready.Alibaba.RegionID}} {
		caller := caller
		caller.params = url.Values{"RegionId": values}
		if ok := caller.send(t).status == http.StatusOK; ok != (name == "its own region") {
			t.Errorf("%s: accepted %t", name, ok)
		}
	}
}

// resign replaces the query of r by params with a signature that is right for them.
func resign(r *http.Request, params url.Values, key sign.AccessKey) {
	params.Set("Signature", sign.SignatureV1(r.Method, params, key.Secret))
	r.URL.RawQuery = params.Encode()
}
