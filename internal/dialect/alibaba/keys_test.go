// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// TestCreateKey makes a key of every kind and looks at what the answer says of it.
func TestCreateKey(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for _, tc := range []struct{ params, spec, usage, level string }{
		{"", "Aliyun_AES_256", usageEncrypt, "SOFTWARE"},
		{"KeySpec=&KeyUsage=&Origin=&ProtectionLevel=&Description=&DKMSInstanceId=&Policy=&Tags=", "Aliyun_AES_256", usageEncrypt, "SOFTWARE"},
		{"KeySpec=Aliyun_AES_192&Origin=Aliyun_KMS", "Aliyun_AES_192", usageEncrypt, "SOFTWARE"},
		{"KeySpec=Aliyun_AES_128&ProtectionLevel=HSM", "Aliyun_AES_128", usageEncrypt, "HSM"},
		{"KeySpec=RSA_2048", "RSA_2048", usageSign, "SOFTWARE"},
		{"KeySpec=RSA_2048&KeyUsage=ENCRYPT/DECRYPT", "RSA_2048", usageEncrypt, "SOFTWARE"},
		{"KeySpec=EC_P256&ProtectionLevel=SOFTWARE", "EC_P256", usageSign, "SOFTWARE"},
		{"KeySpec=EC_P256K&KeyUsage=SIGN/VERIFY", "EC_P256K", usageSign, "SOFTWARE"},
	} {
		r := c.must(t, "CreateKey", strings.Split(tc.params, "&")...)
		id := r.at("KeyMetadata.KeyId")
		want := map[string]any{
			"KeyId": id, "Arn": "acs:kms:cn-hangzhou:1234567890123456:key/" + id, "KeyState": "Enabled", "KeySpec": tc.spec, "KeyUsage": tc.usage,
			"Origin": "Aliyun_KMS", "ProtectionLevel": tc.level, "Creator": "1234567890123456", "CreationDate": "2026-01-02T03:04:05Z",
			"Description": "", "AutomaticRotation": "Disabled", "LastRotationDate": "2026-01-02T03:04:05Z", "MaterialExpireTime": "", "DeleteDate": "",
		}
		if strings.HasPrefix(tc.spec, "Aliyun_AES") {
			want["PrimaryKeyVersion"] = c.oneVersion(t, id)
		}
		if diff := cmp.Diff(want, metadataOf(t, r)); diff != "" {
			t.Errorf("%s: CreateKey: -want +got\n%s", tc.params, diff)
		}
		want["DeletionProtection"], want["DeletionProtectionDescription"] = "Disabled", ""
		if diff := cmp.Diff(want, metadataOf(t, c.must(t, "DescribeKey", "KeyId="+id))); diff != "" {
			t.Errorf("%s: DescribeKey: -want +got\n%s", tc.params, diff)
		}
	}
}

func metadataOf(t testing.TB, r reply) map[string]any {
	t.Helper()
	var answer struct{ KeyMetadata map[string]any }
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil {
		t.Fatalf("%s: %v", r, err)
	}
	return answer.KeyMetadata
}

func TestCreateKeyRefused(t *testing.T) {
	t.Parallel()
	c := newCloud(t, kmstest.With(func(cfg *kms.Config) { cfg.HSM = kms.RefuseHSM }))
	for params, want := range map[string]string{
		"KeySpec=Aliyun_DES3_192":                                           "400 UnsupportedOperation",
		"KeySpec=SM4":                                                       "400 InvalidParameter",
		"KeySpec=Aliyun_SM4&KeyUsage=SIGN/VERIFY":                           "400 InvalidParameter",
		"KeySpec=HMAC_SM3&KeyUsage=SIGN/VERIFY":                             "400 InvalidParameter",
		"KeySpec=EC_SM2&KeyUsage=GENERATE_MAC/VERIFY_MAC":                   "400 InvalidParameter",
		"KeySpec=HMAC_SM3&EnableAutomaticRotation=true&RotationInterval=7d": "400 UnsupportedOperation",
		"KeySpec=EC_P384":                                                   "400 InvalidParameter",
		"KeySpec=AES_256":                                                   "400 InvalidParameter",
		"KeySpec=aliyun_aes_256":                                            "400 InvalidParameter",
		"KeyUsage=SIGN/VERIFY":                                              "400 InvalidParameter",
		"KeySpec=EC_P256&KeyUsage=ENCRYPT/DECRYPT":                          "400 InvalidParameter",
		"KeyUsage=encrypt/decrypt":                                          "400 InvalidParameter",
		"Origin=EXTERNAL&KeySpec=RSA_2048":                                  "400 UnsupportedOperation",
		"Origin=EXTERNAL&KeySpec=EC_SM2":                                    "400 UnsupportedOperation",
		"Origin=EXTERNAL&KeySpec=HMAC_SM3":                                  "400 UnsupportedOperation",
		"Origin=EXTERNAL&KeySpec=Aliyun_DES3_192":                           "400 UnsupportedOperation",
		"Origin=EXTERNAL&EnableAutomaticRotation=true&RotationInterval=7d":  "400 UnsupportedOperation",
		"Origin=aliyun_kms":                                                 "400 InvalidParameter",
		"ProtectionLevel=HSM":                                               "400 Unsupported.ProtectionLevel",
		"ProtectionLevel=hsm":                                               "400 InvalidParameter",
		"DKMSInstanceId=kst-bjj62d8f5e0sgtx8h0000":                          "403 Forbidden.DKMSInstanceNotFound",
		"Policy={}":                                                         "400 Forbidden.KeyPolicyUnSupported",
		"KeyStorageMechanism=HsmInternal":                                   "400 InvalidParameter",
		"EnableAutomaticRotation=true":                                      "400 MissingParameter",
		"EnableAutomaticRotation=true&RotationInterval=6d":                  "400 InvalidParameter",
		"EnableAutomaticRotation=yes":                                       "400 InvalidParameter",
		"EnableAutomaticRotation=false&RotationInterval=forever":            "400 InvalidParameter",
		"KeySpec=RSA_2048&EnableAutomaticRotation=true&RotationInterval=7d": "400 UnsupportedOperation",
		"Description=" + strings.Repeat("x", maxDescription+1):              "400 InvalidParameter",
		`Tags=[{"TagKey":"acs:x","TagValue":"y"}]`:                          "400 InvalidParameter",
		"Tags=k:v": "400 InvalidParameter",
	} {
		if r := c.call(t, "CreateKey", strings.Split(params, "&")...); r.code() != want {
			t.Errorf("%.80s: %s, want %s", params, r, want)
		}
	}
	if r := c.must(t, "ListKeys"); r.at("TotalCount") != "0" {
		t.Errorf("a refused key was made: %s", r)
	}
	c.must(t, "CreateKey", "Description="+strings.Repeat("漢", maxDescription))
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(cfg *Config) { cfg.Quotas = true })
	var key string
	for range 200 {
		key = c.newKey(t)
	}
	if r := c.call(t, "CreateKey"); r.code() != "400 Rejected.LimitExceeded" {
		t.Errorf("the 201st key: %s", r)
	}
	for i := range 300 {
		c.must(t, "CreateAlias", "KeyId="+key, fmt.Sprintf("AliasName=alias/%d", i))
	}
	if r := c.call(t, "CreateAlias", "KeyId="+key, "AliasName=alias/more"); r.code() != "400 Rejected.LimitExceeded" {
		t.Errorf("the 301st alias: %s", r)
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t, "Description=a <b> & c")
	read := func() string { return c.must(t, "DescribeKey", "KeyId="+key).at("KeyMetadata.Description") }
	if got := read(); got != "a <b> & c" {
		t.Errorf("description %q", got)
	}
	c.must(t, "UpdateKeyDescription", "KeyId="+key, "Description=new")
	if got := read(); got != "new" {
		t.Errorf("description %q", got)
	}
	c.must(t, "UpdateKeyDescription", "KeyId="+key, "Description=")
	if got := read(); got != "" {
		t.Errorf("description %q", got)
	}
	c.must(t, "UpdateKeyDescription", "KeyId="+key, "Description=again")
	c.must(t, "UpdateKeyDescription", "KeyId="+key)
	if got := read(); got != "" {
		t.Errorf("description, updated with none: %q", got)
	}
}

// TestStatesOfAKey goes through the transitions and what DescribeKey says after each.
func TestStatesOfAKey(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t, "EnableAutomaticRotation=true", "RotationInterval=365d")
	look := func(step, state, rotation, deleteDate string) {
		t.Helper()
		r := c.must(t, "DescribeKey", "KeyId="+key)
		if r.at("KeyMetadata.KeyState") != state || r.at("KeyMetadata.AutomaticRotation") != rotation || r.at("KeyMetadata.DeleteDate") != deleteDate {
			t.Errorf("%s: %s", step, r)
		}
	}
	look("created", "Enabled", "Enabled", "")
	c.must(t, "EnableKey", "KeyId="+key)
	c.must(t, "DisableKey", "KeyId="+key)
	look("disabled", "Disabled", "Suspended", "")
	c.must(t, "DisableKey", "KeyId="+key)
	c.must(t, "ScheduleKeyDeletion", "KeyId="+key, "PendingWindowInDays=366")
	look("scheduled", "PendingDeletion", "Suspended", "2027-01-03T03:04:05Z")
	if r := c.must(t, "ListKeys"); r.at("Keys.Key.0.KeyId") != key {
		t.Errorf("a key pending deletion is not listed: %s", r)
	}
	c.must(t, "CancelKeyDeletion", "KeyId="+key)
	look("cancelled, disabled before", "Enabled", "Enabled", "")
	c.must(t, "CreateAlias", "KeyId="+key, "AliasName=alias/app")
	c.must(t, "ScheduleKeyDeletion", "KeyId="+key, "PendingWindowInDays=7")
	c.advance(t, 7*keys.Day-time.Second)
	look("a second before", "PendingDeletion", "Suspended", "2026-01-09T03:04:05Z")
	c.advance(t, time.Second)
	for name, want := range map[string]string{key: "404 Forbidden.KeyNotFound", KeyARN(testRegion, "1234567890123456", mustID(t, key)): "404 Forbidden.KeyNotFound"} {
		if r := c.call(t, "DescribeKey", "KeyId="+name); r.code() != want {
			t.Errorf("gone: %s", r)
		}
	}
	if r := c.call(t, "CancelKeyDeletion", "KeyId="+key); r.code() != "404 Forbidden.KeyNotFound" {
		t.Errorf("too late: %s", r)
	}
	if r := c.must(t, "ListKeys"); r.at("Keys.Key") != "[]" || r.at("TotalCount") != "0" {
		t.Errorf("list: %s", r)
	}
	if r := c.must(t, "ListAliases"); r.at("Aliases.Alias") != "[]" || r.at("TotalCount") != "0" {
		t.Errorf("aliases: %s", r)
	}
}

func mustID(t testing.TB, s string) keys.ID {
	t.Helper()
	id, err := keys.ParseID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestDeletionWindow(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	for _, days := range []string{"6", "367", "0", "-7", "7.0", "x"} {
		if r := c.call(t, "ScheduleKeyDeletion", "KeyId="+key, "PendingWindowInDays="+days); r.code() != "400 InvalidParameter" {
			t.Errorf("%s days: %s", days, r)
		}
	}
	if r := c.call(t, "ScheduleKeyDeletion", "KeyId="+key); r.code() != "400 MissingParameter" {
		t.Errorf("no days: %s", r)
	}
	for _, days := range []string{"7", "366"} {
		c.must(t, "ScheduleKeyDeletion", "KeyId="+key, "PendingWindowInDays="+days)
		c.must(t, "CancelKeyDeletion", "KeyId="+key)
	}
}

// TestAutomaticRotation turns the policy on and off and lets it run.
func TestAutomaticRotation(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	first := c.oneVersion(t, key)
	sealed := c.must(t, "Encrypt", "KeyId="+key, "Plaintext=aGk=").at("CiphertextBlob")
	off := c.must(t, "DescribeKey", "KeyId="+key)
	if off.at("KeyMetadata.AutomaticRotation") != "Disabled" || off.has("KeyMetadata.RotationInterval") || off.has("KeyMetadata.NextRotationDate") {
		t.Errorf("off: %s", off)
	}
	c.must(t, "UpdateRotationPolicy", "KeyId="+key, "EnableAutomaticRotation=true", "RotationInterval=720h")
	on := c.must(t, "DescribeKey", "KeyId="+key)
	if on.at("KeyMetadata.RotationInterval") != "2592000s" || on.at("KeyMetadata.NextRotationDate") != "2026-02-01T03:04:05Z" {
		t.Errorf("on: %s", on)
	}
	c.advance(t, 30*keys.Day)
	if _, err := c.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	turned := c.must(t, "DescribeKey", "KeyId="+key)
	if turned.at("KeyMetadata.PrimaryKeyVersion") == first || turned.at("KeyMetadata.LastRotationDate") != "2026-02-01T03:04:05Z" ||
		turned.at("KeyMetadata.NextRotationDate") != "2026-03-03T03:04:05Z" {
		t.Errorf("rotated: %s", turned)
	}
	if r := c.must(t, "Decrypt", "CiphertextBlob="+sealed); r.at("Plaintext") != "aGk=" || r.at("KeyVersionId") != first {
		t.Errorf("old ciphertext: %s", r)
	}
	if r := c.must(t, "Encrypt", "KeyId="+key, "Plaintext=aGk="); r.at("KeyVersionId") != turned.at("KeyMetadata.PrimaryKeyVersion") {
		t.Errorf("new ciphertext: %s", r)
	}
	c.must(t, "UpdateRotationPolicy", "KeyId="+key, "EnableAutomaticRotation=false")
	if r := c.must(t, "DescribeKey", "KeyId="+key); r.has("KeyMetadata.RotationInterval") || r.at("KeyMetadata.AutomaticRotation") != "Disabled" {
		t.Errorf("off again: %s", r)
	}
}

func TestUpdateRotationPolicyRefused(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	aes, ec := c.newKey(t), c.newKey(t, "KeySpec=EC_P256")
	for params, want := range map[string]string{
		"KeyId=" + aes: "400 MissingParameter",
		"KeyId=" + aes + "&EnableAutomaticRotation=":                             "400 InvalidParameter",
		"KeyId=" + aes + "&EnableAutomaticRotation=true":                         "400 MissingParameter",
		"KeyId=" + aes + "&EnableAutomaticRotation=true&RotationInterval=731d":   "400 InvalidParameter",
		"KeyId=" + ec + "&EnableAutomaticRotation=true&RotationInterval=30d":     "400 Rejected.UnsupportedOperation",
		"KeyId=" + aes + "&EnableAutomaticRotation=perhaps&RotationInterval=30d": "400 InvalidParameter",
		"EnableAutomaticRotation=false":                                          "400 MissingParameter",
		"KeyId=" + aes + "&EnableAutomaticRotation=false&RotationInterval=30d":   "200",
	} {
		r := c.call(t, "UpdateRotationPolicy", strings.Split(params, "&")...)
		if r.code() != want {
			t.Errorf("%s: %s, want %s", params, r, want)
		}
		if strings.Contains(params, "731d") && r.at("Message") != "The specified parameter RotationInterval is not valid." {
			t.Errorf("%s: %s", params, r)
		}
		if strings.Contains(params, "=false&") && r.header.Get(dialect.IgnoredHeader) != "RotationInterval" {
			t.Errorf("%s: ignored %q", params, r.header.Get(dialect.IgnoredHeader))
		}
	}
}

// TestListKeys pages through keys of every state; those that this cloud does not know are
// neither listed nor counted nor found.
func TestListKeys(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	var want []string
	for i := range 7 {
		c.Clock.Add(time.Second)
		want = append(want, c.newKey(t))
		if i == 3 {
			hidden := c.otherKey(t, keys.ECP384, keys.UsageSign)
			if r := c.call(t, "DescribeKey", "KeyId="+hidden); r.code() != "404 Forbidden.KeyNotFound" {
				t.Errorf("a P-384 key: %s", r)
			}
			if r := c.call(t, "ScheduleKeyDeletion", "KeyId="+hidden, "PendingWindowInDays=7"); r.code() != "404 Forbidden.KeyNotFound" {
				t.Errorf("a P-384 key: %s", r)
			}
		}
	}
	c.must(t, "DisableKey", "KeyId="+want[1])
	c.must(t, "ScheduleKeyDeletion", "KeyId="+want[2], "PendingWindowInDays=7")
	c.callAs(t, c.Other, "CreateKey")
	for _, size := range []int{1, 3, 7, 100} {
		var got []string
		for page := 1; page < 10; page++ {
			r := c.must(t, "ListKeys", fmt.Sprintf("PageSize=%d", size), fmt.Sprintf("PageNumber=%d", page))
			if r.at("TotalCount") != "7" || r.at("PageNumber") != fmt.Sprint(page) || r.at("PageSize") != fmt.Sprint(size) {
				t.Errorf("page %d of %d: %s", page, size, r)
			}
			for i := range size {
				id := r.at(fmt.Sprintf("Keys.Key.%d.KeyId", i))
				if id != "" {
					got = append(got, id)
				}
				if arn := r.at(fmt.Sprintf("Keys.Key.%d.KeyArn", i)); id != "" && arn != "acs:kms:cn-hangzhou:1234567890123456:key/"+id {
					t.Errorf("ARN %s of %s", arn, id)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d: -want +got\n%s", size, diff)
		}
	}
	if r := c.must(t, "ListKeys"); r.at("PageSize") != "10" || r.at("PageNumber") != "1" {
		t.Errorf("without a page: %s", r)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	plain := c.newKey(t, `Tags=[{"TagKey":"env","TagValue":"prod"},{"TagKey":"app","TagValue":"shop"}]`)
	c.Clock.Add(time.Second)
	ec := c.newKey(t, "KeySpec=EC_P256", `Tags=[{"TagKey":"env","TagValue":"test"}]`)
	c.Clock.Add(time.Second)
	hsm := c.newKey(t, "ProtectionLevel=HSM")
	c.must(t, "DisableKey", "KeyId="+hsm)
	c.must(t, "CreateAlias", "KeyId="+plain, "AliasName=alias/app")
	for filter, want := range map[string][]string{
		``:   {plain, ec, hsm},
		`[]`: {plain, ec, hsm},
		`[{"Key":"KeyState","Values":["Enabled"]}]`:                                                   {plain, ec},
		`[{"Key":"KeyState","Values":["Disabled","PendingDeletion"]}]`:                                {hsm},
		`[{"Key":"KeyState","Values":["Enabled"]},{"Key":"KeyState","Values":["Disabled"]}]`:          {plain, ec, hsm},
		`[{"Key":"KeyState","Values":["Enabled"]},{"Key":"KeySpec","Values":["EC_P256","RSA_2048"]}]`: {ec},
		`[{"Key":"KeySpec","Values":["Aliyun_SM4"]}]`:                                                 {},
		`[{"Key":"KeySpec","Values":["Aliyun_SM4","EC_P256"]}]`:                                       {ec},
		`[{"Key":"KeyUsage","Values":["ENCRYPT/DECRYPT"]}]`:                                           {plain, hsm},
		`[{"Key":"ProtectionLevel","Values":["HSM"]}]`:                                                {hsm},
		`[{"Key":"CreatorType","Values":["User"]}]`:                                                   {plain, ec, hsm},
		`[{"Key":"CreatorType","Values":["Service"]}]`:                                                {},
		`[{"Key":"DKMSInstanceId","Values":["kst-x"]}]`:                                               {},
		`[{"Key":"keyId","Values":["` + ec + `"]}]`:                                                   {ec},
		`[{"Key":"AliasName","Values":["alias/app","alias/none","no alias"]}]`:                        {plain},
		`[{"Key":"Creator","Values":["1234567890123456"]}]`:                                           {plain, ec, hsm},
		`[{"Key":"Creator","Values":["6543210987654321"]}]`:                                           {},
		`[{"Key":"TagKey","Values":["env"]}]`:                                                         {plain, ec},
		`[{"Key":"TagKey","Values":["env"]},{"Key":"TagValue","Values":["prod"]}]`:                    {plain},
		`[{"Key":"KeyState","Values":[]}]`:                                                            {plain, ec, hsm},
	} {
		r := c.must(t, "ListKeys", "Filters="+filter)
		got := []string{}
		for i := range 3 {
			if id := r.at(fmt.Sprintf("Keys.Key.%d.KeyId", i)); id != "" {
				got = append(got, id)
			}
		}
		if !slices.Equal(got, want) || r.at("TotalCount") != fmt.Sprint(len(want)) {
			t.Errorf("%s: %s, want %v", filter, r, want)
		}
	}
	if r := c.must(t, "ListKeys", `Filters=[{"Key":"KeyState","Values":["Enabled"]}]`, "PageSize=1", "PageNumber=2"); r.at("Keys.Key.0.KeyId") != ec || r.at("TotalCount") != "2" {
		t.Errorf("second page: %s", r)
	}
	for _, filter := range []string{
		`{}`, `[{}]`, `[{"Key":"KeyId","Values":["x"]}]`, `[{"Key":"KeyState","Values":["enabled"]}]`, `[{"Key":"KeyState","Values":"Enabled"}]`,
		`[{"Key":"KeyState"}]x`, `[{"key":"KeyState","Values":[]}]`, `[1]`, `x`, `[{"Key":"keyId","Values":[1]}]`,
		`[{"Key":"keyId","Values":["1","2","3","4","5","6","7","8","9","10","11"]}]`,
		"[" + strings.Repeat(`{"Key":"keyId","Values":["x"]},`, 10) + `{"Key":"keyId","Values":["x"]}]`,
	} {
		if r := c.call(t, "ListKeys", "Filters="+filter); r.code() != "400 InvalidParameter" {
			t.Errorf("%s: %s", filter, r)
		}
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	one, two := c.newKey(t), c.newKey(t)
	for i := range 5 {
		c.Clock.Add(time.Second)
		c.must(t, "CreateAlias", "KeyId="+one, fmt.Sprintf("AliasName=alias/a%d", i))
	}
	r := c.call(t, "CreateAlias", "KeyId="+two, "AliasName=alias/a0")
	if r.code() != "400 AliasAlreadyExists" || r.at("Message") != "AliasName Already Exists." {
		t.Errorf("again: %s", r)
	}
	c.must(t, "UpdateAlias", "KeyId="+two, "AliasName=alias/a0")
	if r := c.must(t, "DescribeKey", "KeyId=alias/a0"); r.at("KeyMetadata.KeyId") != two {
		t.Errorf("updated: %s", r)
	}
	if r := c.must(t, "ListAliasesByKeyId", "KeyId="+two); r.at("TotalCount") != "1" || r.at("Aliases.Alias.0.AliasName") != "alias/a0" ||
		r.at("Aliases.Alias.0.AliasArn") != "acs:kms:cn-hangzhou:1234567890123456:alias/a0" || r.at("Aliases.Alias.0.KeyId") != two {
		t.Errorf("by key: %s", r)
	}
	r = c.must(t, "ListAliases", "PageSize=2", "PageNumber=3")
	if r.at("TotalCount") != "5" || r.at("Aliases.Alias.0.AliasName") == "" || r.at("Aliases.Alias.1.AliasName") != "" {
		t.Errorf("third page: %s", r)
	}
	if r := c.must(t, "ListAliases", "PageNumber=4", "PageSize=2"); r.at("Aliases.Alias") != "[]" {
		t.Errorf("page beyond the end: %s", r)
	}
	c.must(t, "DeleteAlias", "AliasName=alias/a1")
	for action, params := range map[string][]string{
		"DeleteAlias": {"AliasName=alias/a1"}, "UpdateAlias": {"AliasName=alias/a1", "KeyId=" + one}, "DescribeKey": {"KeyId=alias/a1"},
	} {
		if r := c.call(t, action, params...); r.code() != "404 Forbidden.AliasNotFound" {
			t.Errorf("%s of what is not there: %s", action, r)
		}
	}
	if r := c.callAs(t, c.Other, "DeleteAlias", "AliasName=alias/a0"); r.code() != "404 Forbidden.AliasNotFound" {
		t.Errorf("another's alias: %s", r)
	}
	if r := c.callAs(t, c.Other, "CreateAlias", "AliasName=alias/a0", "KeyId="+one); r.code() != "404 Forbidden.KeyNotFound" {
		t.Errorf("another's key: %s", r)
	}
	for _, name := range []string{"app", "alias/", "alias/acs/x", "alias/a b", "alias/" + strings.Repeat("x", 256)} {
		if r := c.call(t, "CreateAlias", "KeyId="+one, "AliasName="+name); r.code() != "400 InvalidParameter" {
			t.Errorf("%s: %s", name, r)
		}
	}
}

func TestDescribeRegions(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(cfg *Config) { cfg.Regions["east"] = "us-east-1" })
	r := c.must(t, "DescribeRegions")
	if r.at("Regions.Region") != `[{"RegionId":"cn-hangzhou"},{"RegionId":"us-east-1"}]` || r.status != http.StatusOK {
		t.Errorf("regions: %s", r)
	}
}

// TestProtectionHeader: answers about an HSM key that is kept in software say so.
func TestProtectionHeader(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(cfg *Config) { cfg.SoftwareHSM = true })
	for level, want := range map[string]string{"HSM": "software", "SOFTWARE": ""} {
		made := c.must(t, "CreateKey", "ProtectionLevel="+level)
		key := made.at("KeyMetadata.KeyId")
		for name, r := range map[string]reply{
			"CreateKey": made, "DescribeKey": c.must(t, "DescribeKey", "KeyId="+key), "Encrypt": c.must(t, "Encrypt", "KeyId="+key, "Plaintext=aGk="),
		} {
			if got := r.header.Get(dialect.ProtectionHeader); got != want {
				t.Errorf("%s of a %s key: %q, want %q", name, level, got, want)
			}
		}
	}
}
