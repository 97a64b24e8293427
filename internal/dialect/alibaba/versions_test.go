// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms/kmstest"
)

// The tests here are named after the sentences of the cloud's pages on CreateKeyVersion (2019)
// and DescribeKeyVersion (June 2024).

func TestCreateKeyVersionIsOnlyForAsymmetricKeys(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	symmetric := c.newKey(t)
	var asymmetric []string
	for _, spec := range []string{"RSA_2048", "EC_P256", "EC_P256K"} {
		asymmetric = append(asymmetric, c.newKey(t, "KeySpec="+spec))
	}
	c.advance(t, 8*keys.Day)
	r := c.call(t, "CreateKeyVersion", "KeyId="+symmetric)
	if r.code() != "400 Rejected.UnsupportedOperation" || r.at("Message") != "Unsupported operation." {
		t.Errorf("symmetric: %s", r)
	}
	for _, key := range asymmetric {
		if r := c.call(t, "CreateKeyVersion", "KeyId="+key); r.status != http.StatusOK {
			t.Errorf("asymmetric: %s", r)
		}
	}
}

func TestCreateKeyVersionIsOnlyForEnabledKeys(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t, "KeySpec=EC_P256")
	c.advance(t, 8*keys.Day)
	c.must(t, "DisableKey", "KeyId="+key)
	if r := c.call(t, "CreateKeyVersion", "KeyId="+key); r.code() != "409 Rejected.Disabled" {
		t.Errorf("disabled: %s", r)
	}
	c.must(t, "ScheduleKeyDeletion", "KeyId="+key, "PendingWindowInDays=7")
	if r := c.call(t, "CreateKeyVersion", "KeyId="+key); r.code() != "409 Rejected.PendingDeletion" {
		t.Errorf("pending deletion: %s", r)
	}
	c.must(t, "CancelKeyDeletion", "KeyId="+key)
	c.must(t, "CreateKeyVersion", "KeyId="+key)
}

func TestCreateKeyVersionKeepsSevenDays(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t, "KeySpec=EC_P256")
	const soon = "400 Rejected.UnsupportedOperation"
	if r := c.call(t, "CreateKeyVersion", "KeyId="+key); r.code() != soon {
		t.Errorf("at once: %s", r)
	}
	c.advance(t, 7*keys.Day-time.Second)
	if r := c.call(t, "CreateKeyVersion", "KeyId="+key); r.code() != soon {
		t.Errorf("a second early: %s", r)
	}
	c.advance(t, time.Second)
	c.must(t, "CreateKeyVersion", "KeyId="+key)
	c.advance(t, 7*keys.Day-time.Second)
	if r := c.call(t, "CreateKeyVersion", "KeyId="+key); r.code() != soon {
		t.Errorf("a second early, after the second version: %s", r)
	}
	c.advance(t, time.Second)
	c.must(t, "CreateKeyVersion", "KeyId="+key)
}

func TestLastRotationDateIsTheLastVersionsCreation(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t, "KeySpec=EC_P256")
	read := func() (last, newest string) {
		versions := c.must(t, "ListKeyVersions", "KeyId="+key)
		n := versions.at("TotalCount")
		newest = versions.at("KeyVersions.KeyVersion." + map[string]string{"1": "0", "2": "1"}[n] + ".CreationDate")
		return c.must(t, "DescribeKey", "KeyId="+key).at("KeyMetadata.LastRotationDate"), newest
	}
	if last, newest := read(); last != newest || last != "2026-01-02T03:04:05Z" {
		t.Errorf("new key: LastRotationDate %s, version of %s", last, newest)
	}
	c.advance(t, 8*keys.Day)
	c.must(t, "CreateKeyVersion", "KeyId="+key)
	if last, newest := read(); last != newest || last != "2026-01-10T03:04:05Z" {
		t.Errorf("new version: LastRotationDate %s, version of %s", last, newest)
	}
}

func TestFiftyAsymmetricVersionsPerUserAndRegion(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key, other := c.newKey(t, "KeySpec=EC_P256"), c.newKey(t, "KeySpec=EC_P256")
	for range 47 {
		c.newKey(t, "KeySpec=EC_P256")
	}
	c.newKey(t) // symmetric ones do not count
	c.advance(t, 8*keys.Day)
	c.must(t, "CreateKeyVersion", "KeyId="+key)
	r := c.call(t, "CreateKeyVersion", "KeyId="+other)
	if r.code() != "400 Rejected.LimitExceeded" || r.at("Message") != "The request was rejected because user create resource limit was exceeded." {
		t.Errorf("the 51st: %s", r)
	}
	theirs := c.callAs(t, c.Other, "CreateKey", "KeySpec=EC_P256").at("KeyMetadata.KeyId")
	c.advance(t, 8*keys.Day)
	if r := c.callAs(t, c.Other, "CreateKeyVersion", "KeyId="+theirs); r.status != http.StatusOK {
		t.Errorf("another user's: %s", r)
	}
}

// masked makes ids that differ between runs equal.
func masked(s string) string {
	return regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`).ReplaceAllString(s, "ID")
}

func TestCreateKeyVersionAnswersAsItsPageShows(t *testing.T) {
	t.Parallel()
	for root, want := range map[XMLRoot]string{
		RootByOperation: "KMS", RootKMS: "KMS", RootAction: "CreateKeyVersionResponse",
	} {
		c := newCloud(t, func(cfg *Config) { cfg.XMLRoot = root })
		key := c.newKey(t, "KeySpec=EC_P256")
		c.advance(t, 8*keys.Day)
		r := c.must(t, "CreateKeyVersion", "KeyId="+key, "Format=XML")
		const inside = "<KeyVersion><KeyId>ID</KeyId><KeyVersionId>ID</KeyVersionId><CreationDate>2026-01-10T03:04:05Z</CreationDate></KeyVersion><RequestId>ID</RequestId>"
		if got := masked(r.body); got != "<"+want+">"+inside+"</"+want+">" || r.header.Get("Content-Type") != "application/xml" {
			t.Errorf("%q: %s %s", root, r.header.Get("Content-Type"), got)
		}
		if !strings.Contains(r.body, "<KeyId>"+key+"</KeyId>") {
			t.Errorf("%q: not the key's id in %s", root, r)
		}
		c.advance(t, 8*keys.Day)
		r = c.must(t, "CreateKeyVersion", "KeyId="+key)
		const inJSON = `{"KeyVersion":{"KeyId":"ID","KeyVersionId":"ID","CreationDate":"2026-01-18T03:04:05Z"},"RequestId":"ID"}`
		if got := masked(r.body); got != inJSON || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%q: %s %s", root, r.header.Get("Content-Type"), got)
		}
	}
}

func TestDescribeKeyVersionAnswersAsItsPageShows(t *testing.T) {
	t.Parallel()
	for root, want := range map[XMLRoot]string{
		RootByOperation: "DescribeKeyVersionResponse", RootKMS: "KMS", RootAction: "DescribeKeyVersionResponse",
	} {
		c := newCloud(t, func(cfg *Config) { cfg.XMLRoot = root })
		key := c.newKey(t)
		version := c.oneVersion(t, key)
		r := c.must(t, "DescribeKeyVersion", "KeyId="+key, "KeyVersionId="+version, "Format=XML")
		inside := "<RequestId>" + r.header.Get("X-Acs-Request-Id") + "</RequestId><KeyVersion><KeyId>" + key + "</KeyId><KeyVersionId>" + version +
			"</KeyVersionId><CreationDate>2026-01-02T03:04:05Z</CreationDate></KeyVersion>"
		if r.body != "<"+want+">"+inside+"</"+want+">" || r.header.Get("Content-Type") != "application/xml" {
			t.Errorf("%q: %s %s", root, r.header.Get("Content-Type"), r)
		}
		r = c.must(t, "DescribeKeyVersion", "KeyId="+key, "KeyVersionId="+version)
		inJSON := `{"RequestId":"` + r.header.Get("X-Acs-Request-Id") + `","KeyVersion":{"KeyId":"` + key + `","KeyVersionId":"` + version +
			`","CreationDate":"2026-01-02T03:04:05Z"}}`
		if r.body != inJSON || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%q: %s %s", root, r.header.Get("Content-Type"), r)
		}
	}
}

// TestKeyIdIsIdAliasOrARN tries all three on every operation that takes them. The answer has
// the key's id whichever was sent.
func TestKeyIdIsIdAliasOrARN(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	aes, ec, rsa := c.newKey(t), c.newKey(t, "KeySpec=EC_P256"), c.newKey(t, "KeySpec=RSA_2048", "KeyUsage=ENCRYPT/DECRYPT")
	digest := "Digest=" + strings.Repeat("A", 43) + "="
	ecVersion, rsaVersion := "KeyVersionId="+c.oneVersion(t, ec), "KeyVersionId="+c.oneVersion(t, rsa)
	sealed := c.must(t, "AsymmetricEncrypt", "KeyId="+rsa, rsaVersion, "Algorithm=RSAES_OAEP_SHA_256", "Plaintext=aGk=").at("CiphertextBlob")
	value := c.must(t, "AsymmetricSign", "KeyId="+ec, ecVersion, "Algorithm=ECDSA_SHA_256", digest).at("Value")
	for i, key := range []string{aes, ec, rsa} {
		c.must(t, "CreateAlias", "KeyId="+key, "AliasName=alias/"+[]string{"aes", "ec", "rsa"}[i])
	}
	for _, op := range []struct {
		action, key, alias, answer string
		params                     []string
	}{
		{"DescribeKey", aes, "alias/aes", "KeyMetadata.KeyId", nil},
		{"ListKeyVersions", aes, "alias/aes", "KeyVersions.KeyVersion.0.KeyId", nil},
		{"DescribeKeyVersion", ec, "alias/ec", "KeyVersion.KeyId", []string{ecVersion}},
		{"CreateKeyVersion", ec, "alias/ec", "KeyVersion.KeyId", nil},
		{"Encrypt", aes, "alias/aes", "KeyId", []string{"Plaintext=aGk="}},
		{"GenerateDataKey", aes, "alias/aes", "KeyId", nil},
		{"GenerateDataKeyWithoutPlaintext", aes, "alias/aes", "KeyId", nil},
		{"AsymmetricEncrypt", rsa, "alias/rsa", "KeyId", []string{rsaVersion, "Algorithm=RSAES_OAEP_SHA_256", "Plaintext=aGk="}},
		{"AsymmetricDecrypt", rsa, "alias/rsa", "KeyId", []string{rsaVersion, "Algorithm=RSAES_OAEP_SHA_256", "CiphertextBlob=" + sealed}},
		{"AsymmetricSign", ec, "alias/ec", "KeyId", []string{ecVersion, "Algorithm=ECDSA_SHA_256", digest}},
		{"AsymmetricVerify", ec, "alias/ec", "KeyId", []string{ecVersion, "Algorithm=ECDSA_SHA_256", digest, "Value=" + value}},
		{"GetPublicKey", ec, "alias/ec", "KeyId", []string{ecVersion}},
	} {
		for _, name := range []string{op.key, op.alias, "acs:kms:" + testRegion + ":1234567890123456:key/" + op.key} {
			if op.action == "CreateKeyVersion" {
				c.advance(t, 8*keys.Day)
			}
			r := c.call(t, op.action, append([]string{"KeyId=" + name}, op.params...)...)
			if r.status != http.StatusOK || r.at(op.answer) != op.key {
				t.Errorf("%s of %s: %s", op.action, name, r)
			}
		}
		for name, want := range map[string]string{
			"alias/none":                           "404 Forbidden.AliasNotFound",
			"alias/no such":                        "400 InvalidParameter",
			"alias/é":                              "400 InvalidParameter",
			"00000000-0000-0000-0000-000000000001": "404 Forbidden.KeyNotFound",
			"key-hzz630494463ejqjx0000":            "404 Forbidden.KeyNotFound",
			strings.ToUpper(op.key):                "404 Forbidden.KeyNotFound",
			"acs:kms:cn-beijing:1234567890123456:key/" + op.key:         "404 Forbidden.KeyNotFound",
			"acs:kms:" + testRegion + ":6543210987654321:key/" + op.key: "404 Forbidden.KeyNotFound",
			"acs:kms:" + testRegion + ":1:key/" + op.key:                "404 Forbidden.KeyNotFound",
			"acs:kms:" + testRegion + ":1234567890123456:" + op.alias:   "400 InvalidParameter",
			"acs:kms:nonsense": "400 InvalidParameter",
		} {
			if r := c.call(t, op.action, append([]string{"KeyId=" + name}, op.params...)...); r.code() != want {
				t.Errorf("%s of %s: %s, want %s", op.action, name, r, want)
			}
		}
	}
}

// TestOperationsThatTakeTheIdOnly answer an alias as the cloud does.
func TestOperationsThatTakeTheIdOnly(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	c.must(t, "CreateAlias", "KeyId="+key, "AliasName=alias/app")
	for _, op := range [][]string{
		{"EnableKey"},
		{"DisableKey"},
		{"ScheduleKeyDeletion", "PendingWindowInDays=7"},
		{"CancelKeyDeletion"},
		{"UpdateKeyDescription", "Description=x"},
		{"UpdateRotationPolicy", "EnableAutomaticRotation=false"},
		{"CreateAlias", "AliasName=alias/other"},
		{"UpdateAlias", "AliasName=alias/app"},
		{"ListAliasesByKeyId"},
	} {
		for name, want := range map[string]string{
			"alias/app":  "400 Unsupported.Alias",
			"alias/none": "400 Unsupported.Alias",
			"acs:kms:" + testRegion + ":1234567890123456:alias/app": "400 Unsupported.Alias",
			KeyARN(testRegion, "1234567890123456", keys.ID{1}):      "400 InvalidParameter",
		} {
			r := c.call(t, op[0], append([]string{"KeyId=" + name}, op[1:]...)...)
			if r.code() != want || (want == "400 Unsupported.Alias" && r.at("Message") != "Alias is not valid for this api.") {
				t.Errorf("%s of %s: %s, want %s", op[0], name, r, want)
			}
		}
	}
}

// TestAnotherAccountsKeyByARNAndGrantOnly: by its id never; by its ARN not without a grant.
func TestAnotherAccountsKeyByARNAndGrantOnly(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	version := "KeyVersionId=" + c.oneVersion(t, key)
	c.must(t, "CreateAlias", "KeyId="+key, "AliasName=alias/app")
	arn := "acs:kms:" + testRegion + ":1234567890123456:key/" + key
	const none = "404 Forbidden.KeyNotFound"
	try := func(name, want string) {
		t.Helper()
		if r := c.callAs(t, c.Other, "DescribeKeyVersion", "KeyId="+name, version); r.code() != want {
			t.Errorf("DescribeKeyVersion of %s: %s, want %s", name, r, want)
		}
	}
	try(key, none)
	try(arn, none)
	try("alias/app", "404 Forbidden.AliasNotFound")
	grant := c.grant(t, key, c.Other, keys.ReadVersion, keys.Encrypt)
	try(key, none)
	try("alias/app", "404 Forbidden.AliasNotFound")
	r := c.callAs(t, c.Other, "DescribeKeyVersion", "KeyId="+arn, version)
	if r.at("KeyVersion.KeyId") != key {
		t.Errorf("by ARN, with a grant: %s", r)
	}
	if r := c.callAs(t, c.Other, "DescribeKey", "KeyId="+arn); r.code() != none {
		t.Errorf("what the grant does not name: %s", r)
	}
	sealed := c.callAs(t, c.Other, "Encrypt", "KeyId="+arn, "Plaintext=aGk=")
	if sealed.at("KeyId") != key {
		t.Errorf("Encrypt: %s", sealed)
	}
	if got := c.must(t, "Decrypt", "CiphertextBlob="+sealed.at("CiphertextBlob")).at("Plaintext"); got != "aGk=" {
		t.Errorf("plaintext %q", got)
	}
	if r := c.callAs(t, c.Other, "Decrypt", "CiphertextBlob="+sealed.at("CiphertextBlob")); r.code() != none {
		t.Errorf("Decrypt, which takes no ARN: %s", r)
	}
	if err := c.RemoveGrant(context.Background(), c.System("test"), grant); err != nil {
		t.Fatal(err)
	}
	try(arn, none)
	if r := c.callAs(t, c.Other, "Encrypt", "KeyId="+arn, "Plaintext=aGk="); r.code() != none {
		t.Errorf("Encrypt after the grant was taken back: %s", r)
	}
}

func TestDescribeKeyVersionInvalidParameter(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key, other := c.newKey(t), c.newKey(t)
	version := c.oneVersion(t, key)
	for name, tc := range map[string]struct{ params, want string }{
		"empty version":    {"KeyId=" + key + "&KeyVersionId=", "400 InvalidParameter"},
		"overlong version": {"KeyId=" + key + "&KeyVersionId=" + strings.Repeat("x", 1000), "400 InvalidParameter"},
		"strange version":  {"KeyId=" + key + "&KeyVersionId=é", "400 InvalidParameter"},
		"empty key":        {"KeyId=&KeyVersionId=" + version, "400 InvalidParameter"},
		"no version":       {"KeyId=" + key, "400 MissingParameter"},
		"no key":           {"KeyVersionId=" + version, "400 MissingParameter"},
		"unknown version":  {"KeyId=" + key + "&KeyVersionId=2ab1a983-7072-4bbc-a582-584b5bd80000", "404 Forbidden.KeyVersionNotFound"},
		"another key's":    {"KeyId=" + other + "&KeyVersionId=" + version, "404 Forbidden.KeyVersionNotFound"},
		"the key's id":     {"KeyId=" + key + "&KeyVersionId=" + key, "404 Forbidden.KeyVersionNotFound"},
	} {
		r := c.call(t, "DescribeKeyVersion", strings.Split(tc.params, "&")...)
		if r.code() != tc.want || (tc.want == "400 InvalidParameter" && r.at("Message") != "The specified parameter is not valid.") {
			t.Errorf("%s: %s, want %s", name, r, tc.want)
		}
	}
}

func TestListKeyVersions(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t, "KeySpec=EC_P256")
	want := []string{c.oneVersion(t, key)}
	for range 4 {
		c.advance(t, 8*keys.Day)
		want = append(want, c.must(t, "CreateKeyVersion", "KeyId="+key).at("KeyVersion.KeyVersionId"))
	}
	var got []string
	for page := 1; ; page++ {
		r := c.must(t, "ListKeyVersions", "KeyId="+key, "PageSize=2", fmt.Sprintf("PageNumber=%d", page))
		if r.at("TotalCount") != "5" || r.at("PageSize") != "2" || r.at("PageNumber") != fmt.Sprint(page) {
			t.Errorf("page %d: %s", page, r)
		}
		for i := range 2 {
			if id := r.at(fmt.Sprintf("KeyVersions.KeyVersion.%d.KeyVersionId", i)); id != "" {
				got = append(got, id)
			}
		}
		if r.at("KeyVersions.KeyVersion") == "[]" {
			break
		}
		if page > 4 {
			t.Fatalf("page %d: %s", page, r)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("versions %v, want %v", got, want)
	}
	if r := c.must(t, "ListKeyVersions", "KeyId="+key, "PageNumber=2147483647", "PageSize=100"); r.at("KeyVersions.KeyVersion") != "[]" {
		t.Errorf("far beyond the end: %s", r)
	}
}

// TestVersionPendingDeletion: a version that another cloud's API scheduled stays in the lists
// and is refused on use; once erased it is not found.
func TestVersionPendingDeletion(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.otherKey(t, keys.RSA2048, keys.UsageEncrypt|keys.UsageSign)
	old := c.oneVersion(t, key)
	digest := "Digest=" + strings.Repeat("A", 43) + "="
	oaep := c.must(t, "AsymmetricEncrypt", "KeyId="+key, "KeyVersionId="+old, "Algorithm=RSAES_OAEP_SHA_1", "Plaintext=aGk=").at("CiphertextBlob")
	c.advance(t, 8*keys.Day)
	c.must(t, "CreateKeyVersion", "KeyId="+key)
	ctx, call := context.Background(), c.Call(t, c.Tenant)
	defer call.End()
	if _, err := c.ScheduleVersionDeletion(ctx, call, ParseKeyName(key), ParseVersionName(old), c.Now().Add(7*keys.Day)); err != nil {
		t.Fatal(err)
	}
	use := func() map[string]reply {
		return map[string]reply{
			"sign":    c.call(t, "AsymmetricSign", "KeyId="+key, "KeyVersionId="+old, "Algorithm=RSA_PSS_SHA_256", digest),
			"verify":  c.call(t, "AsymmetricVerify", "KeyId="+key, "KeyVersionId="+old, "Algorithm=RSA_PSS_SHA_256", digest, "Value=aGk="),
			"decrypt": c.call(t, "AsymmetricDecrypt", "KeyId="+key, "KeyVersionId="+old, "Algorithm=RSAES_OAEP_SHA_1", "CiphertextBlob="+oaep),
			"public":  c.call(t, "GetPublicKey", "KeyId="+key, "KeyVersionId="+old),
		}
	}
	for name, r := range use() {
		if r.code() != "409 Rejected.PendingDeletion" {
			t.Errorf("%s: %s", name, r)
		}
	}
	if r := c.must(t, "ListKeyVersions", "KeyId="+key); r.at("TotalCount") != "2" || r.at("KeyVersions.KeyVersion.0.KeyVersionId") != old {
		t.Errorf("list: %s", r)
	}
	c.must(t, "DescribeKeyVersion", "KeyId="+key, "KeyVersionId="+old)
	c.advance(t, 7*keys.Day)
	for name, r := range use() {
		if r.code() != "404 Forbidden.KeyVersionNotFound" {
			t.Errorf("%s, erased: %s", name, r)
		}
	}
	if r := c.call(t, "DescribeKeyVersion", "KeyId="+key, "KeyVersionId="+old); r.code() != "404 Forbidden.KeyVersionNotFound" {
		t.Errorf("describe, erased: %s", r)
	}
	if r := c.must(t, "ListKeyVersions", "KeyId="+key); r.at("TotalCount") != "1" || strings.Contains(r.body, old) {
		t.Errorf("list, erased: %s", r)
	}
}

func (c *cloud) advance(t testing.TB, d time.Duration) {
	t.Helper()
	if err := c.Advance(context.Background(), d); err != nil {
		t.Fatal(err)
	}
}

func (c *cloud) grant(t testing.TB, key string, to kmstest.Tenant, actions ...keys.Action) keys.ID {
	t.Helper()
	id, err := keys.ParseID(key)
	if err != nil {
		t.Fatal(err)
	}
	g, err := c.CreateGrant(context.Background(), c.System("test"), id, to.ID, actions)
	if err != nil {
		t.Fatal(err)
	}
	return g.ID
}
