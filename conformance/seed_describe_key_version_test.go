// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
)

// The sentences of Alibaba's page on DescribeKeyVersion, one test each.

// "Queries the information about a key version." through each SDK.
func TestSeedDescribeKeyVersion_QueriesAVersion(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	for _, g := range alibaba.Generations() {
		a := throughAlibaba(t, server, g)
		for _, spec := range []string{"Aliyun_AES_256", "EC_P256"} {
			usage := map[string]string{"Aliyun_AES_256": forEncryption, "EC_P256": forSigning}[spec]
			key := a.createKey(t, spec, usage)
			version := a.versions(t, key.KeyID)[0]
			got := a.must(t, "DescribeKeyVersion", alibaba.Params{"KeyId": key.KeyID, "KeyVersionId": version}).KeyVersion
			if wanted := (alibaba.KeyVersion{KeyID: key.KeyID, KeyVersionID: version, CreationDate: key.CreationDate}); got != wanted {
				t.Errorf("%s: %+v, want %+v", g, got, wanted)
			}
		}
	}
}

// "KeyId: The ID, alias, or ARN of the key." and "If KeyId is set to the alias or ARN of the key,
// the ID of the key is returned."
func TestSeedDescribeKeyVersion_IDAliasOrARN(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	for _, g := range alibaba.Generations() {
		a := throughAlibaba(t, server, g)
		key := a.createKey(t, "Aliyun_AES_256", forEncryption)
		alias := "alias/" + string(g)
		a.must(t, "CreateAlias", alibaba.Params{"KeyId": key.KeyID, "AliasName": alias})
		for _, name := range []string{key.KeyID, alias, key.ARN} {
			got := a.must(t, "DescribeKeyVersion", alibaba.Params{"KeyId": name, "KeyVersionId": key.PrimaryKeyVersion})
			want(t, "KeyId of the answer to "+name, got.KeyVersion.KeyID, key.KeyID)
		}
	}
}

// "The key ARN is in the acs:kms:${region}:${account}:key/${keyid} format."
func TestSeedDescribeKeyVersion_ARNFormat(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	a := throughAlibaba(t, server, alibaba.ACS3)
	key := a.createKey(t, "Aliyun_AES_256", forEncryption)
	access := server.Ready.Alibaba
	want(t, "Arn", key.ARN, "acs:kms:"+access.RegionID+":"+access.AccountID+":key/"+key.KeyID)
	for _, arn := range []string{
		"acs:kms:cn-beijing:" + access.AccountID + ":key/" + key.KeyID,
		"acs:kms:" + access.RegionID + ":1111111111111111:key/" + key.KeyID,
		"acs:oss:" + access.RegionID + ":" + access.AccountID + ":key/" + key.KeyID,
	} {
		got := a.refusal("DescribeKeyVersion", alibaba.Params{"KeyId": arn, "KeyVersionId": key.PrimaryKeyVersion})
		want(t, arn, got, "404 Forbidden.KeyNotFound")
	}
}

// "When you access a key within another Alibaba Cloud account, you must enter the ARN of the key."
func TestSeedDescribeKeyVersion_AnotherAccount(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	owner := throughAlibaba(t, server, alibaba.ACS3)
	key := owner.createKey(t, "Aliyun_AES_256", forEncryption)
	owner.must(t, "CreateAlias", alibaba.Params{"KeyId": key.KeyID, "AliasName": "alias/shared"})
	guest := secondTenant(t, server)
	describe := func(id string) string {
		return guest.ali.refusal("DescribeKeyVersion", alibaba.Params{"KeyId": id, "KeyVersionId": key.PrimaryKeyVersion})
	}
	want(t, "ARN without a grant", describe(key.ARN), "404 Forbidden.KeyNotFound")
	want(t, "bare id without a grant", describe(key.KeyID), "404 Forbidden.KeyNotFound")
	guest.grant(t, key.KeyID)
	got := guest.ali.must(t, "DescribeKeyVersion", alibaba.Params{"KeyId": key.ARN, "KeyVersionId": key.PrimaryKeyVersion})
	want(t, "KeyId by ARN with a grant", got.KeyVersion.KeyID, key.KeyID)
	want(t, "bare id with a grant", describe(key.KeyID), "404 Forbidden.KeyNotFound")
	want(t, "alias with a grant", describe("alias/shared"), "404 Forbidden.AliasNotFound")
	third := newTenant(t, server, "third")
	want(t, "ARN, when the grant is another account's", third.ali.refusal("DescribeKeyVersion",
		alibaba.Params{"KeyId": key.ARN, "KeyVersionId": key.PrimaryKeyVersion}), "404 Forbidden.KeyNotFound")
	want(t, "what the grant does not say", guest.ali.refusal("DescribeKey", alibaba.Params{"KeyId": key.ARN}), "404 Forbidden.KeyNotFound")
	another := owner.createKey(t, "Aliyun_AES_256", forEncryption)
	want(t, "ARN of a key that was not granted", guest.ali.refusal("DescribeKeyVersion",
		alibaba.Params{"KeyId": another.ARN, "KeyVersionId": another.PrimaryKeyVersion}), "404 Forbidden.KeyNotFound")
}

// "KeyVersionId: The ID of the key version. [...] You can call the ListKeyVersions operation to
// query the versions of the key." A version of another key is none of this key's.
func TestSeedDescribeKeyVersion_VersionOfTheKey(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	a := throughAlibaba(t, server, alibaba.Classic)
	one, two := a.createKey(t, "Aliyun_AES_256", forEncryption), a.createKey(t, "Aliyun_AES_256", forEncryption)
	for _, version := range a.versions(t, one.KeyID) {
		want(t, "a listed version", a.refusal("DescribeKeyVersion", alibaba.Params{"KeyId": one.KeyID, "KeyVersionId": version}), "200")
	}
	want(t, "a version of another key", a.refusal("DescribeKeyVersion",
		alibaba.Params{"KeyId": one.KeyID, "KeyVersionId": two.PrimaryKeyVersion}), "404 Forbidden.KeyVersionNotFound")
	want(t, "no version at all", a.refusal("DescribeKeyVersion",
		alibaba.Params{"KeyId": one.KeyID, "KeyVersionId": "01234567-89ab-cdef-0123-456789abcdef"}), "404 Forbidden.KeyVersionNotFound")
}

// The error of the page: 400 InvalidParameter "The specified parameter is not valid."
func TestSeedDescribeKeyVersion_InvalidParameter(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	key := throughAlibaba(t, server, alibaba.ACS3).createKey(t, "Aliyun_AES_256", forEncryption)
	caller := rawCaller(server)
	caller.action = "DescribeKeyVersion"
	for name, params := range map[string]url.Values{
		"empty KeyVersionId":    {"KeyId": {key.KeyID}, "KeyVersionId": {""}},
		"overlong KeyVersionId": {"KeyId": {key.KeyID}, "KeyVersionId": {strings.Repeat("x", 1000)}},
		"empty KeyId":           {"KeyId": {""}, "KeyVersionId": {key.PrimaryKeyVersion}},
		"overlong KeyId":        {"KeyId": {strings.Repeat("x", 1000)}, "KeyVersionId": {key.PrimaryKeyVersion}},
	} {
		caller.params = params
		answer := caller.send(t)
		want(t, name, answer.refusal(), "400 InvalidParameter")
		var body struct{ Message string }
		answer.into(t, &body)
		want(t, name+": message", body.Message, "The specified parameter is not valid.")
	}
}

// "The date and time when the key version is created. The time is displayed in UTC."
func TestSeedDescribeKeyVersion_CreationDate(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	a := throughAlibaba(t, server, alibaba.V1)
	server.Admin.Freeze(t)
	key := a.createKey(t, "EC_P256", forSigning).KeyID
	server.Admin.Advance(t, week)
	version := a.must(t, "CreateKeyVersion", alibaba.Params{"KeyId": key}).KeyVersion.KeyVersionID
	got := a.must(t, "DescribeKeyVersion", alibaba.Params{"KeyId": key, "KeyVersionId": version}).KeyVersion
	want(t, "CreationDate", got.CreationDate, server.Admin.Now(t).UTC().Format("2006-01-02T15:04:05Z"))
}

// The example bodies: JSON, and XML with the root <DescribeKeyVersionResponse>, RequestId first.
func TestSeedDescribeKeyVersion_ResponseJSON(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	key := throughAlibaba(t, server, alibaba.ACS3).createKey(t, "Aliyun_AES_256", forEncryption)
	caller := rawCaller(server)
	caller.way, caller.action = wayV1Get, "DescribeKeyVersion"
	caller.params = url.Values{"KeyId": {key.KeyID}, "KeyVersionId": {key.PrimaryKeyVersion}}
	answer := caller.send(t)
	want(t, "status", strconv.Itoa(answer.status), "200")
	checkVersionJSON(t, answer, key.KeyID)
}

func TestSeedDescribeKeyVersion_ResponseXML(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	key := throughAlibaba(t, server, alibaba.ACS3).createKey(t, "Aliyun_AES_256", forEncryption)
	caller := rawCaller(server)
	caller.way, caller.action = wayV1Get, "DescribeKeyVersion"
	caller.params = url.Values{"KeyId": {key.KeyID}, "KeyVersionId": {key.PrimaryKeyVersion}, "Format": {"XML"}}
	answer := caller.send(t)
	want(t, "status", strconv.Itoa(answer.status), "200")
	want(t, "Content-Type", strings.Split(answer.header.Get("Content-Type"), ";")[0], "application/xml")
	if !regexp.MustCompile(versionXML("DescribeKeyVersionResponse", key.KeyID, true)).Match(flatXML(answer.body)) {
		t.Errorf("body:\n%s", answer.body)
	}
}
