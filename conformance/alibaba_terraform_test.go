// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"claviger/conformance/internal/live"
)

// alicloud sends what the Terraform provider alicloud sends, in its way: RPC version 1, POST, the
// common parameters in the query and the operation's own in a form.
type alicloud struct {
	server *live.Process
}

// ask is one call; params are "Name=value".
func (a alicloud) ask(t *testing.T, action string, params ...string) (reply map[string]any, refusal string) {
	t.Helper()
	caller := rawCaller(a.server)
	caller.way, caller.action, caller.params = wayV1Mixed, action, url.Values{}
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		caller.params.Set(name, value)
	}
	got := caller.send(t)
	got.into(t, &reply)
	if _, has := reply["Code"]; has && got.status == 200 {
		t.Errorf("%s: a Code at the top of a success, which the provider takes for a failure: %s", action, got.body)
	}
	return reply, got.refusal()
}

func (a alicloud) must(t *testing.T, action string, params ...string) map[string]any {
	t.Helper()
	reply, refusal := a.ask(t, action, params...)
	if refusal != "200" {
		t.Fatalf("%s %q: %s", action, params, refusal)
	}
	return reply
}

// at reads a value by its path, "" where there is none.
func at(reply any, path string) string {
	for name := range strings.SplitSeq(path, ".") {
		switch of := reply.(type) {
		case map[string]any:
			reply = of[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(of) {
				return ""
			}
			reply = of[i]
		default:
			return ""
		}
	}
	if reply == nil {
		return ""
	}
	if s, ok := reply.(string); ok {
		return s
	}
	b, _ := json.Marshal(reply)
	return string(b)
}

func wantAt(t *testing.T, what string, reply any, wanted map[string]string) {
	t.Helper()
	for path, value := range wanted {
		want(t, what+": "+path, at(reply, path), value)
	}
}

func startWithInstance(t *testing.T) alicloud {
	t.Helper()
	seed := filepath.Join(t.TempDir(), "seed.toml")
	if err := os.WriteFile(seed, []byte(instanceSeed), 0o600); err != nil {
		t.Fatal(err)
	}
	return alicloud{start(t, live.Options{Seed: seed})}
}

// The resource alicloud_kms_key: created, read, changed in every way, and destroyed.
func TestAlicloudKey(t *testing.T) {
	t.Parallel()
	a := startWithInstance(t)
	region := "RegionId=" + a.server.Ready.Alibaba.RegionID
	created := a.must(t, "CreateKey", "Description=by terraform", "KeyUsage=ENCRYPT/DECRYPT", "ProtectionLevel=SOFTWARE", "RotationInterval=31536000s",
		"KeySpec=Aliyun_AES_256", "EnableAutomaticRotation=true", `Tags=[{"TagKey":"Created","TagValue":"TF"}]`)
	id := at(created, "KeyMetadata.KeyId")
	key, tags := "KeyId="+id, []string{region, "ResourceType=key", "ResourceId.1=" + id}
	a.must(t, "SetDeletionProtection", key, "EnableDeletionProtection=true", "DeletionProtectionDescription=keep")
	wantAt(t, "read", a.must(t, "DescribeKey", key), map[string]string{
		"KeyMetadata.Description": "by terraform", "KeyMetadata.ProtectionLevel": "SOFTWARE", "KeyMetadata.RotationInterval": "31536000s",
		"KeyMetadata.AutomaticRotation": "Enabled", "KeyMetadata.KeyState": "Enabled", "KeyMetadata.DeletionProtection": "Enabled",
		"KeyMetadata.DeletionProtectionDescription": "keep", "KeyMetadata.DKMSInstanceId": "", "KeyMetadata.Creator": "1234567890123456",
	})
	list := a.must(t, "ListTagResources", tags...)
	wantAt(t, "tags", list, map[string]string{
		"TagResources.TagResource.0.TagKey": "Created", "TagResources.TagResource.0.TagValue": "TF", "TagResources.TagResource.0.ResourceId": id,
		"TagResources.TagResource.1": "", "NextToken": "",
	})

	a.must(t, "UpdateKeyDescription", key) // the attribute was removed
	a.must(t, "UpdateRotationPolicy", key, "EnableAutomaticRotation=false", "RotationInterval=31536000s")
	a.must(t, "DisableKey", key)
	wantAt(t, "changed", a.must(t, "DescribeKey", key), map[string]string{
		"KeyMetadata.Description": "", "KeyMetadata.AutomaticRotation": "Disabled", "KeyMetadata.RotationInterval": "", "KeyMetadata.NextRotationDate": "",
		"KeyMetadata.KeyState": "Disabled",
	})
	a.must(t, "EnableKey", key)
	a.must(t, "UntagResources", append(tags, "TagKey.1=Created")...)
	list = a.must(t, "ListTagResources", tags...)
	want(t, "the wrapper of no tags", at(list, "TagResources.TagResource"), "[]")
	a.must(t, "TagResources", append(tags, "Tag.1.Key=For", "Tag.1.Value=test", "Tag.2.Key=By", "Tag.2.Value=TF")...)
	want(t, "a tag", at(a.must(t, "ListTagResources", tags...), "TagResources.TagResource.1.TagValue"), "test")

	refused, code := a.ask(t, "ScheduleKeyDeletion", key, "PendingWindowInDays=7")
	want(t, "destroy while protected", code, "409 Rejected.DeletionProtection")
	if strings.Contains(at(refused, "Message")+at(refused, "Code"), "NotFound") {
		t.Errorf("the provider would take this for gone: %v", refused)
	}
	a.must(t, "SetDeletionProtection", key, "EnableDeletionProtection=false")
	a.must(t, "ScheduleKeyDeletion", key, "PendingWindowInDays=7")
	gone := a.must(t, "DescribeKey", key)
	want(t, "state after destroy", at(gone, "KeyMetadata.KeyState"), "PendingDeletion")
	parseTime(t, at(gone, "KeyMetadata.DeleteDate"))
}

// A key in an instance, for which the provider reads a policy too, and the key version, alias and
// ciphertext resources with their data sources.
func TestAlicloudRest(t *testing.T) {
	t.Parallel()
	a := startWithInstance(t)
	region := "RegionId=" + a.server.Ready.Alibaba.RegionID
	inside := at(a.must(t, "CreateKey", "ProtectionLevel=SOFTWARE", "KeySpec=EC_P256", "DKMSInstanceId="+seedInstance), "KeyMetadata.KeyId")
	want(t, "DKMSInstanceId", at(a.must(t, "DescribeKey", "KeyId="+inside), "KeyMetadata.DKMSInstanceId"), seedInstance)
	if policy := at(a.must(t, "GetKeyPolicy", "KeyId="+inside), "Policy"); !json.Valid([]byte(policy)) {
		t.Errorf("policy %q is not JSON", policy)
	}
	ordinary := at(a.must(t, "CreateKey", "ProtectionLevel=SOFTWARE"), "KeyMetadata.KeyId")

	_, code := a.ask(t, "CreateKeyVersion", "KeyId="+inside)
	want(t, "a version in the key's first week", code, "400 Rejected.UnsupportedOperation")
	a.server.Admin.Advance(t, week)
	version := a.must(t, "CreateKeyVersion", "KeyId="+inside)
	wantAt(t, "read version", a.must(t, "DescribeKeyVersion", region, "KeyId="+inside, "KeyVersionId="+at(version, "KeyVersion.KeyVersionId")), map[string]string{
		"KeyVersion.KeyId": inside, "KeyVersion.KeyVersionId": at(version, "KeyVersion.KeyVersionId"),
	})
	if id := inside + at(version, "KeyVersion.KeyVersionId"); strings.Contains(id, ":") {
		t.Errorf("a colon in %s, which the provider joins ids with", id)
	}

	a.must(t, "CreateAlias", "AliasName=alias/tf", "KeyId="+ordinary)
	a.must(t, "UpdateAlias", "AliasName=alias/tf", "KeyId="+inside)
	wantAt(t, "aliases", a.must(t, "ListAliases", region, "PageNumber=1", "PageSize=20"), map[string]string{
		"Aliases.Alias.0.AliasName": "alias/tf", "Aliases.Alias.0.KeyId": inside, "Aliases.Alias.1": "",
	})
	want(t, "a page beyond the end", at(a.must(t, "ListAliases", "PageNumber=2", "PageSize=50"), "Aliases.Alias"), "[]")
	a.must(t, "DeleteAlias", "AliasName=alias/tf")

	sealed := a.must(t, "Encrypt", region, "KeyId="+ordinary, "Plaintext=plaintext", "EncryptionContext={}")
	wantAt(t, "opened", a.must(t, "Decrypt", region, "CiphertextBlob="+at(sealed, "CiphertextBlob"), "EncryptionContext={}"), map[string]string{
		"Plaintext": "plaintext", "KeyId": ordinary,
	})

	list := a.must(t, "ListKeys", `Filters=[{"Key":"KeyState","Values":["Enabled"]},{"Key":"CreatorType","Values":["User"]}]`, "PageSize=50", "PageNumber=1")
	wantAt(t, "keys", list, map[string]string{"Keys.Key.0.KeyId": inside, "Keys.Key.1.KeyId": ordinary, "Keys.Key.2": "", "TotalCount": "2"})
	versions := a.must(t, "ListKeyVersions", "KeyId="+inside, "PageSize=50", "PageNumber=1")
	want(t, "versions", at(versions, "TotalCount"), "2")
	_, code = a.ask(t, "OpenKmsService")
	want(t, "open the service", code, "400 Forbidden.Opened")
}
