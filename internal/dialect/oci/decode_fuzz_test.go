// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"net/http"
	"testing"

	"claviger/internal/dialect"
	"claviger/internal/keys"
)

// FuzzDecode reads one body and query as the parameters of every operation. Whatever they are, a
// refusal has a field or a sentence to say, and what is accepted keeps the limits.
func FuzzDecode(f *testing.F) {
	name := testNamer().keyName("home", id(1), id(2))
	for _, body := range []string{
		``, `{}`, `{"timeOfDeletion":"2026-12-01T02:03:04.5+01:00"}`, `{"compartmentId":"c","displayName":"d","vaultType":"DEFAULT"}`,
		`{"compartmentId":"c","displayName":"d","keyShape":{"algorithm":"ECDSA","length":"32"},"isAutoRotationEnabled":true,"autoKeyRotationDetails":{"rotationIntervalInDays":60}}`,
		`{"keyId":"` + name + `","plaintext":"aGVsbG8","associatedData":{"a":"b"},"loggingContext":{}}`,
		`{"keyId":"` + name + `","message":"AAAA","signature":"AAAA","keyVersionId":"x","signingAlgorithm":"ECDSA_SHA_256","messageType":"RAW"}`,
		`{"compartmentId":"c","displayName":"d","keyShape":{"algorithm":"AES","length":32},"wrappedImportKey":{"keyMaterial":"AAAA","wrappingAlgorithm":"RSA_OAEP_SHA256"}}`,
		`{"keyId":"` + name + `","algorithm":"RSA_OAEP_AES_SHA256","publicKey":"-----BEGIN PUBLIC KEY-----AAAA-----END PUBLIC KEY-----"}`,
		`{"keyId":"` + name + `","includePlaintextKey":true,"keyShape":{"algorithm":"AES","length":16}}`,
	} {
		f.Add([]byte(body), "limit=10&sortBy=DISPLAYNAME&compartmentId=c", name)
	}
	d := &Dialect{namer: testNamer(), profile: Profile()}
	f.Fuzz(func(t *testing.T, body []byte, query, name string) {
		op := operation{query: append([]string{"compartmentId", "protectionMode", "algorithm", "length", "curveId"}, listQuery...)}
		in := &input{d: d, m: &match{op: &op, params: [2]string{name, name}}, x: &dialect.Exchange{
			Request: &http.Request{Method: "POST", RequestURI: "/x?" + query, Header: http.Header{}}, Body: body,
		}}
		for _, q := range []request{
			&vaultRequest{}, &listVaultsRequest{}, &createVaultDetails{}, &updateVaultDetails{}, &scheduleVaultRequest{}, &moveVaultRequest{},
			&keyRequest{}, &listKeysRequest{}, &createKeyDetails{}, &updateKeyDetails{}, &scheduleKeyRequest{}, &moveKeyRequest{},
			&versionRequest{}, &scheduleVersionRequest{}, &createVersionRequest{}, &listVersionsRequest{},
			&encryptRequest{}, &decryptRequest{}, &dataKeyRequest{}, &signRequest{}, &verifyRequest{},
			&wrappingKeyRequest{}, &importKeyDetails{}, &importVersionRequest{}, &exportRequest{},
		} {
			in.ignored = nil
			err := in.readQuery()
			if err == nil {
				err = q.decode(in)
			}
			if text := ignoredText(in.ignored); len(text) > 8192 {
				t.Fatalf("the header names %d bytes of ignored input", len(text))
			}
			if err == nil {
				continue
			}
			e := keys.AsError(err)
			if row := find(e, in.m); row.status >= 500 || (e.Hint == "" && e.Field == "" && e.Noun == "") {
				t.Fatalf("%T of %q?%q: %v", q, body, query, err)
			}
		}
	})
}
