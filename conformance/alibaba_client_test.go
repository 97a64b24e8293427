// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/base64"
	"testing"
	"time"

	"claviger/conformance/internal/alibaba"
)

// ali is a caller through one of Alibaba's SDK generations. Its methods that take a testing.T fail
// the test on a refusal; Call, of the client beneath, returns it.
type ali struct {
	alibaba.Client
}

// must calls an operation that is to succeed.
func (a ali) must(t *testing.T, action string, params alibaba.Params) alibaba.Reply {
	t.Helper()
	reply, err := a.Call(action, params)
	if err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	if reply.RequestID == "" {
		t.Errorf("%s: the answer has no RequestId", action)
	}
	return reply
}

// refusal calls an operation and returns the status and code of its refusal, "200" for none.
func (a ali) refusal(action string, params alibaba.Params) string {
	_, err := a.Call(action, params)
	return alibaba.Refusal(err)
}

func (a ali) createKey(t *testing.T, spec, usage string) alibaba.KeyMetadata {
	t.Helper()
	return a.must(t, "CreateKey", alibaba.Params{
		"KeySpec": spec, "KeyUsage": usage, "ProtectionLevel": "SOFTWARE", "Description": t.Name(),
	}).KeyMetadata
}

func (a ali) key(t *testing.T, id string) alibaba.KeyMetadata {
	t.Helper()
	return a.must(t, "DescribeKey", alibaba.Params{"KeyId": id}).KeyMetadata
}

// pages lists the versions of key page by page until a page is short and returns the pages.
func (a ali) pages(t *testing.T, key string, size int) [][]alibaba.KeyVersion {
	t.Helper()
	var pages [][]alibaba.KeyVersion
	for number := 1; ; number++ {
		reply := a.must(t, "ListKeyVersions", alibaba.Params{"KeyId": key, "PageNumber": number, "PageSize": size})
		if reply.PageNumber != number || reply.PageSize != size {
			t.Fatalf("ListKeyVersions echoes page %d of size %d, want %d of %d", reply.PageNumber, reply.PageSize, number, size)
		}
		pages = append(pages, reply.KeyVersions.KeyVersion)
		if len(reply.KeyVersions.KeyVersion) < size {
			return pages
		}
	}
}

// versions lists all version ids of key, oldest first.
func (a ali) versions(t *testing.T, key string) []string {
	t.Helper()
	var ids []string
	for _, page := range a.pages(t, key, 100) {
		for _, version := range page {
			ids = append(ids, version.KeyVersionID)
		}
	}
	return ids
}

// sign signs a digest with one version.
func (a ali) sign(t *testing.T, key, version, algorithm string, digest []byte) string {
	t.Helper()
	reply := a.must(t, "AsymmetricSign", alibaba.Params{
		"KeyId": key, "KeyVersionId": version, "Algorithm": algorithm, "Digest": base64.StdEncoding.EncodeToString(digest),
	})
	signature, ok := reply.Value.(string)
	if !ok {
		t.Fatalf("AsymmetricSign: Value is %T, want the signature as a string", reply.Value)
	}
	return signature
}

// verify says whether signature is the version's over digest.
func (a ali) verify(t *testing.T, key, version, algorithm string, digest []byte, signature string) bool {
	t.Helper()
	reply := a.must(t, "AsymmetricVerify", alibaba.Params{
		"KeyId": key, "KeyVersionId": version, "Algorithm": algorithm, "Value": signature,
		"Digest": base64.StdEncoding.EncodeToString(digest),
	})
	valid, ok := reply.Value.(bool)
	if !ok {
		t.Fatalf("AsymmetricVerify: Value is %T, want a boolean", reply.Value)
	}
	return valid
}

// parseTime reads one of the API's times: UTC to the second, nothing else.
func parseTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05Z", text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
