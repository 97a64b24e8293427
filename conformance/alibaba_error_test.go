// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
)

// The table of operations by key state that Alibaba publishes, through each SDK.
func TestAlibabaStates(t *testing.T) {
	t.Parallel()
	for _, g := range alibaba.Generations() {
		t.Run(string(g), func(t *testing.T) {
			t.Parallel()
			server := start(t, live.Options{})
			a := throughAlibaba(t, server, g)
			const (
				ok       = "200"
				disabled = "409 Rejected.Disabled"
				pending  = "409 Rejected.PendingDeletion"
				modified = "409 Rejected.StateModifiedFailed"
			)
			for _, test := range []struct {
				action                             string
				enabled, whenDisabled, whenPending string
			}{
				{"DescribeKey", ok, ok, ok},
				{"ListKeyVersions", ok, ok, ok},
				{"DescribeKeyVersion", ok, ok, ok},
				{"ListAliasesByKeyId", ok, ok, ok},
				{"Encrypt", ok, disabled, pending},
				{"Decrypt", ok, disabled, pending},
				{"GenerateDataKey", ok, disabled, pending},
				{"GenerateDataKeyWithoutPlaintext", ok, disabled, pending},
				{"UpdateRotationPolicy", ok, disabled, pending},
				{"EnableKey", ok, ok, modified},
				{"DisableKey", ok, ok, modified},
				{"ScheduleKeyDeletion", ok, ok, modified},
				{"CancelKeyDeletion", modified, modified, ok},
				{"UpdateKeyDescription", ok, ok, pending},
				{"CreateAlias", ok, ok, modified},
				{"UpdateAlias", ok, ok, pending},
			} {
				for state, wanted := range map[string]string{"": test.enabled, "DisableKey": test.whenDisabled, "ScheduleKeyDeletion": test.whenPending} {
					want(t, test.action+" after "+state, aliInState(t, a, state, test.action), wanted)
				}
			}
		})
	}
}

// aliInState makes a key, brings it into a state, and tells how an action on it is answered.
func aliInState(t *testing.T, a ali, toState, action string) string {
	t.Helper()
	key := a.createKey(t, "Aliyun_AES_256", forEncryption)
	sealed := a.must(t, "Encrypt", alibaba.Params{"KeyId": key.KeyID, "Plaintext": "QQ=="})
	alias := "alias/of-" + a.createKey(t, "Aliyun_AES_256", forEncryption).KeyID
	if action == "UpdateAlias" {
		a.must(t, "CreateAlias", alibaba.Params{"KeyId": strings.TrimPrefix(alias, "alias/of-"), "AliasName": alias})
	}
	params := alibaba.Params{"KeyId": key.KeyID}
	for name, value := range map[string]alibaba.Params{
		"DescribeKeyVersion":   {"KeyVersionId": key.PrimaryKeyVersion},
		"Encrypt":              {"Plaintext": "QQ=="},
		"UpdateRotationPolicy": {"EnableAutomaticRotation": true, "RotationInterval": "30d"},
		"ScheduleKeyDeletion":  {"PendingWindowInDays": 7},
		"UpdateKeyDescription": {"Description": "x"},
		"CreateAlias":          {"AliasName": alias},
		"UpdateAlias":          {"AliasName": alias},
	} {
		if name == action {
			maps.Copy(params, value)
		}
	}
	if action == "Decrypt" {
		params = alibaba.Params{"CiphertextBlob": sealed.CiphertextBlob}
	}
	switch toState {
	case "DisableKey":
		a.must(t, toState, alibaba.Params{"KeyId": key.KeyID})
	case "ScheduleKeyDeletion":
		a.must(t, toState, alibaba.Params{"KeyId": key.KeyID, "PendingWindowInDays": 7})
	}
	return a.refusal(action, params)
}

// What is refused, and as what, through each SDK.
func TestAlibabaRefusals(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	clients := map[alibaba.Generation]ali{}
	for _, g := range alibaba.Generations() {
		clients[g] = throughAlibaba(t, server, g)
	}
	a := clients[alibaba.ACS3]
	aes, rsa := a.createKey(t, "Aliyun_AES_256", forEncryption), a.createKey(t, "RSA_2048", forSigning)
	version := a.versions(t, rsa.KeyID)[0]
	sealing := a.createKey(t, "RSA_2048", forEncryption).KeyID
	sealingVersion := a.versions(t, sealing)[0]
	const unknown = "01234567-89ab-cdef-0123-456789abcdef"
	const digest = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	a.must(t, "CreateAlias", alibaba.Params{"KeyId": aes.KeyID, "AliasName": "alias/taken"})
	for _, test := range []struct {
		name, action string
		params       alibaba.Params
		wanted       string
	}{
		{"unknown key", "DescribeKey", alibaba.Params{"KeyId": unknown}, "404 Forbidden.KeyNotFound"},
		{"key that is no id", "DescribeKey", alibaba.Params{"KeyId": "nonsense"}, "404 Forbidden.KeyNotFound"},
		{"unknown alias", "DescribeKey", alibaba.Params{"KeyId": "alias/none"}, "404 Forbidden.AliasNotFound"},
		{"encrypt with an unknown key", "Encrypt", alibaba.Params{"KeyId": unknown, "Plaintext": "QQ=="}, "404 Forbidden.KeyNotFound"},
		{"unknown version", "AsymmetricSign", alibaba.Params{"KeyId": rsa.KeyID, "KeyVersionId": unknown, "Algorithm": "RSA_PSS_SHA_256", "Digest": digest}, "404 Forbidden.KeyVersionNotFound"},
		{"alias where an id must be", "EnableKey", alibaba.Params{"KeyId": "alias/taken"}, "400 Unsupported.Alias"},
		{"alias that is taken", "CreateAlias", alibaba.Params{"KeyId": aes.KeyID, "AliasName": "alias/taken"}, "400 AliasAlreadyExists"},
		{"alias that is reserved", "CreateAlias", alibaba.Params{"KeyId": aes.KeyID, "AliasName": "alias/acs/x"}, "400 InvalidParameter"},
		{"alias without its prefix", "CreateAlias", alibaba.Params{"KeyId": aes.KeyID, "AliasName": "x"}, "400 InvalidParameter"},
		{"alias to nothing", "DeleteAlias", alibaba.Params{"AliasName": "alias/none"}, "404 Forbidden.AliasNotFound"},
		{"key spec that is none", "CreateKey", alibaba.Params{"KeySpec": "AES_257"}, "400 InvalidParameter"},
		{"usage that is none", "CreateKey", alibaba.Params{"KeyUsage": "OPEN/SHUT"}, "400 InvalidParameter"},
		{"rotation without an interval", "CreateKey", alibaba.Params{"EnableAutomaticRotation": true}, "400 MissingParameter"},
		{"rotation interval too short", "UpdateRotationPolicy", alibaba.Params{"KeyId": aes.KeyID, "EnableAutomaticRotation": true, "RotationInterval": "6d"}, "400 InvalidParameter"},
		{"rotation interval too long", "UpdateRotationPolicy", alibaba.Params{"KeyId": aes.KeyID, "EnableAutomaticRotation": true, "RotationInterval": "731d"}, "400 InvalidParameter"},
		{"rotation of an asymmetric key", "UpdateRotationPolicy", alibaba.Params{"KeyId": rsa.KeyID, "EnableAutomaticRotation": true, "RotationInterval": "7d"}, "400 Rejected.UnsupportedOperation"},
		{"window too short", "ScheduleKeyDeletion", alibaba.Params{"KeyId": aes.KeyID, "PendingWindowInDays": 6}, "400 InvalidParameter"},
		{"window too long", "ScheduleKeyDeletion", alibaba.Params{"KeyId": aes.KeyID, "PendingWindowInDays": 367}, "400 InvalidParameter"},
		{"page that is none", "ListKeys", alibaba.Params{"PageNumber": 0}, "400 InvalidParameter"},
		{"page too large", "ListKeys", alibaba.Params{"PageSize": 102}, "400 InvalidParameter"},
		{"ciphertext that is none", "Decrypt", alibaba.Params{"CiphertextBlob": "QQ=="}, "400 InvalidParameter"},
		{"plaintext too large", "Encrypt", alibaba.Params{"KeyId": aes.KeyID, "Plaintext": strings.Repeat("x", 8200)}, "400 InvalidParameter"},
		{"data key too large", "GenerateDataKey", alibaba.Params{"KeyId": aes.KeyID, "NumberOfBytes": 1025}, "400 InvalidParameter"},
		{"digest of another length", "AsymmetricSign", alibaba.Params{"KeyId": rsa.KeyID, "KeyVersionId": version, "Algorithm": "RSA_PSS_SHA_256", "Digest": "QQ=="}, "400 InvalidParameter"},
		{"sign with a key that encrypts", "AsymmetricSign", alibaba.Params{"KeyId": sealing, "KeyVersionId": sealingVersion, "Algorithm": "RSA_PSS_SHA_256", "Digest": digest}, "400 InvalidParameter"},
		{"encrypt with a key that signs", "AsymmetricEncrypt", alibaba.Params{"KeyId": rsa.KeyID, "KeyVersionId": version, "Algorithm": "RSAES_OAEP_SHA_256", "Plaintext": "QQ=="}, "400 Rejected.UnsupportedOperation"},
		{"symmetric encryption with an asymmetric key", "Encrypt", alibaba.Params{"KeyId": sealing, "Plaintext": "QQ=="}, "400 UnsupportedOperation"},
	} {
		for g, client := range clients {
			if got := client.refusal(test.action, test.params); got != test.wanted {
				t.Errorf("%s, through %s: answered %q, want %q", test.name, g, got, test.wanted)
			}
		}
	}
	// The SDKs refuse by themselves to leave a required parameter out, so this one is signed by hand.
	caller := rawCaller(server)
	caller.action = "DescribeKey"
	want(t, "no KeyId", caller.send(t).refusal(), "400 MissingParameter")
}

// Aliases, through each SDK.
func TestAlibabaAliases(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	for _, g := range alibaba.Generations() {
		a := throughAlibaba(t, server, g)
		one, two := a.createKey(t, "Aliyun_AES_256", forEncryption).KeyID, a.createKey(t, "Aliyun_AES_256", forEncryption).KeyID
		alias := "alias/team/" + string(g)
		a.must(t, "CreateAlias", alibaba.Params{"KeyId": one, "AliasName": alias})
		want(t, "key of the alias", a.key(t, alias).KeyID, one)
		sealed := a.must(t, "Encrypt", alibaba.Params{"KeyId": alias, "Plaintext": "QQ=="})
		want(t, "key of what was encrypted with the alias", sealed.KeyID, one)
		a.must(t, "UpdateAlias", alibaba.Params{"KeyId": two, "AliasName": alias})
		want(t, "key of the moved alias", a.key(t, alias).KeyID, two)
		listed := a.must(t, "ListAliasesByKeyId", alibaba.Params{"KeyId": two}).Aliases.Alias
		if len(listed) != 1 || listed[0].AliasName != alias || listed[0].KeyID != two {
			t.Fatalf("ListAliasesByKeyId: %+v", listed)
		}
		access := server.Ready.Alibaba
		want(t, "AliasArn", listed[0].AliasARN, "acs:kms:"+access.RegionID+":"+access.AccountID+":"+alias)
		opened := a.must(t, "Decrypt", alibaba.Params{"CiphertextBlob": sealed.CiphertextBlob})
		want(t, "plaintext after the alias moved", opened.Plaintext, "QQ==")
		all := a.must(t, "ListAliases", alibaba.Params{"PageSize": 100})
		if all.TotalCount != 1 || len(all.Aliases.Alias) != 1 {
			t.Errorf("ListAliases: %+v", all)
		}
		a.must(t, "DeleteAlias", alibaba.Params{"AliasName": alias})
		want(t, "DescribeKey by a deleted alias", a.refusal("DescribeKey", alibaba.Params{"KeyId": alias}), "404 Forbidden.AliasNotFound")
	}
}

// ListKeys in pages, beyond the end, and filtered.
func TestAlibabaListKeys(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	a := throughAlibaba(t, server, alibaba.Classic)
	var ids []string
	for _, spec := range []string{"Aliyun_AES_256", "EC_P256", "Aliyun_AES_128", "EC_P256K", "Aliyun_AES_256"} {
		usage := forEncryption
		if strings.HasPrefix(spec, "EC") {
			usage = forSigning
		}
		ids = append(ids, a.createKey(t, spec, usage).KeyID)
	}
	a.must(t, "DisableKey", alibaba.Params{"KeyId": ids[0]})
	for _, test := range []struct {
		name   string
		params alibaba.Params
		want   []string
		total  int
	}{
		{"default", alibaba.Params{}, ids, 5},
		{"first page", alibaba.Params{"PageSize": 2}, ids[:2], 5},
		{"last page", alibaba.Params{"PageSize": 2, "PageNumber": 3}, ids[4:], 5},
		{"beyond the end", alibaba.Params{"PageSize": 2, "PageNumber": 9}, nil, 5},
		{"state", alibaba.Params{"Filters": `[{"Key":"KeyState","Values":["Disabled"]}]`}, ids[:1], 1},
		{"two specs", alibaba.Params{"Filters": `[{"Key":"KeySpec","Values":["EC_P256","EC_P256K"]}]`}, []string{ids[1], ids[3]}, 2},
		{"spec and state", alibaba.Params{"Filters": `[{"Key":"KeySpec","Values":["Aliyun_AES_256"]},{"Key":"KeyState","Values":["Enabled"]}]`}, ids[4:], 1},
		{"usage", alibaba.Params{"Filters": `[{"Key":"KeyUsage","Values":["SIGN/VERIFY"]}]`}, []string{ids[1], ids[3]}, 2},
	} {
		reply := a.must(t, "ListKeys", test.params)
		var got []string
		for _, key := range reply.Keys.Key {
			got = append(got, key.KeyID)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		if reply.TotalCount != test.total {
			t.Errorf("%s: TotalCount %d, want %d", test.name, reply.TotalCount, test.total)
		}
	}
	for _, filters := range []string{`{`, `[{"Key":"Colour","Values":["red"]}]`} {
		want(t, "Filters "+filters, a.refusal("ListKeys", alibaba.Params{"Filters": filters}), "400 InvalidParameter")
	}
}

// The region of the process is listed, through each SDK.
func TestAlibabaDescribeRegions(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	for _, g := range alibaba.Generations() {
		var regions []string
		for _, region := range throughAlibaba(t, server, g).must(t, "DescribeRegions", alibaba.Params{}).Regions.Region {
			regions = append(regions, region.RegionID)
		}
		if !slices.Contains(regions, server.Ready.Alibaba.RegionID) {
			t.Errorf("%s: regions %v do not hold %s", g, regions, server.Ready.Alibaba.RegionID)
		}
	}
}
