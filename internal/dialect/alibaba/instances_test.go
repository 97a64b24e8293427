// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// TestInstances makes keys in vaults, under the names that these have as instances.
func TestInstances(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	standard := InstanceName(c.Tenant.Vault)
	if r := c.must(t, "GetDefaultKmsInstance"); r.at("DefaultKmsInstanceId") != standard {
		t.Errorf("default: %s", r)
	}
	c.Clock.Add(time.Second)
	plain, vault := InstanceName(c.newVault(t, "plain")), c.newVault(t, "carried")
	const carried = "kst-bjj62d8f5e0sgtx8h1234"
	err := c.AddExternalID(context.Background(), c.System("test"), store.ExternalID{
		Dialect: Name, Type: keys.TypeVault, Tenant: c.Tenant.ID, Region: kmstest.Region, Name: carried, ID: vault,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, shown := range map[string]string{plain: plain, carried: carried, InstanceName(vault): carried, standard: ""} {
		key := c.newKey(t, "DKMSInstanceId="+name)
		for _, action := range []string{"DescribeKey", "ListKeys"} {
			r := c.must(t, action, "KeyId="+key, `Filters=[{"Key":"DKMSInstanceId","Values":["none","`+name+`"]},{"Key":"keyId","Values":["`+key+`"]}]`)
			switch action {
			case "DescribeKey":
				if r.at("KeyMetadata.DKMSInstanceId") != shown || r.has("KeyMetadata.DKMSInstanceId") != (shown != "") {
					t.Errorf("a key in %s: %s", name, r)
				}
			default:
				if r.at("TotalCount") != "1" {
					t.Errorf("keys in %s: %s", name, r)
				}
			}
		}
		for _, action := range []string{"Encrypt", "GenerateDataKey"} {
			c.must(t, action, "KeyId="+key, "Plaintext=aGk=")
		}
	}
	if r := c.must(t, "ListKeys", `Filters=[{"Key":"DKMSInstanceId","Values":["kst-none"]}]`); r.at("TotalCount") != "0" {
		t.Errorf("keys in none: %s", r)
	}
	r := c.must(t, "ListKmsInstances", "Filters=[]")
	want := map[string]any{"KmsInstances": map[string]any{"KmsInstance": []any{}}, "PageNumber": 1.0, "PageSize": 20.0, "TotalCount": 3.0}
	for _, name := range []string{standard, plain, carried} {
		of := want["KmsInstances"].(map[string]any)
		of["KmsInstance"] = append(of["KmsInstance"].([]any), map[string]any{
			"KmsInstanceId": name, "KmsInstanceArn": "acs:kms:cn-hangzhou:1234567890123456:keystore/" + name,
		})
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(r.body), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "RequestId")
	sortInstances(want)
	sortInstances(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ListKmsInstances: -want +got\n%s", diff)
	}
	if r := c.must(t, "ListKmsInstances", "PageSize=2", "PageNumber=2"); r.at("KmsInstances.KmsInstance.0.KmsInstanceId") == "" || r.at("KmsInstances.KmsInstance.1.KmsInstanceId") != "" {
		t.Errorf("the second page: %s", r)
	}
	if r := c.call(t, "ListKmsInstances", `Filters=[{"Key":"Status","Values":[]}]`); r.code() != isInvalid {
		t.Errorf("filtered: %s", r)
	}
	if r := c.callAs(t, c.Other, "CreateKey", "DKMSInstanceId="+plain); r.code() != noInstance {
		t.Errorf("in another's instance: %s", r)
	}
}

// sortInstances brings those of one moment into one order.
func sortInstances(v map[string]any) {
	list := v["KmsInstances"].(map[string]any)["KmsInstance"].([]any)
	for i := range list {
		for j := range i {
			if fmt.Sprint(list[i]) < fmt.Sprint(list[j]) {
				list[i], list[j] = list[j], list[i]
			}
		}
	}
}

// TestInstanceStates schedules a vault's deletion, cancels it and lets it happen.
func TestInstanceStates(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	vault := c.newVault(t, "ledger")
	name := InstanceName(vault)
	key := c.newKey(t, "DKMSInstanceId="+name)
	change := func(f func(*kms.Call) error) {
		t.Helper()
		call := c.Call(t, c.Tenant)
		defer call.End()
		if err := f(call); err != nil {
			t.Fatal(err)
		}
	}
	r := c.must(t, "GetKmsInstance", "KmsInstanceId="+name)
	want := map[string]any{
		"InstanceId": name, "InstanceName": "ledger", "Status": "Connected", "BindVpcs": map[string]any{"BindVpc": []any{}},
		"CreateTime": "2026-01-02T03:04:05Z", "StartDate": "2026-01-02T03:04:05Z", "DeletionProtection": false, "DeletionProtectionDescription": "",
	}
	var got struct{ KmsInstance map[string]any }
	if err := json.Unmarshal([]byte(r.body), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.KmsInstance); diff != "" {
		t.Errorf("GetKmsInstance: -want +got\n%s", diff)
	}
	change(func(call *kms.Call) error {
		_, err := c.ScheduleVaultDeletion(context.Background(), call, kms.VaultRef{ID: vault}, c.Now().Add(8*keys.Day))
		return err
	})
	if r := c.must(t, "GetKmsInstance", "KmsInstanceId="+name); r.at("KmsInstance.Status") != "Disconnected" {
		t.Errorf("scheduled: %s", r)
	}
	if r := c.call(t, "CreateKey", "DKMSInstanceId="+name); r.code() != "403 Forbidden.DKMSInstanceStateInvalid" || r.at("Message") != "The DKMS instance state is invalid." {
		t.Errorf("a key in a scheduled one: %s", r)
	}
	if r := c.must(t, "DescribeKey", "KeyId="+key); r.at("KeyMetadata.KeyState") != "PendingDeletion" || r.at("KeyMetadata.DKMSInstanceId") != name {
		t.Errorf("its key: %s", r)
	}
	c.Clock.Add(8 * keys.Day)
	for _, call := range []reply{c.call(t, "GetKmsInstance", "KmsInstanceId="+name), c.call(t, "CreateKey", "DKMSInstanceId="+name)} {
		if call.code() != noInstance || call.at("Message") != "The specified DKMS Instance is not found." {
			t.Errorf("erased: %s", call)
		}
	}
	if r := c.must(t, "ListKmsInstances"); strings.Contains(r.body, name) {
		t.Errorf("erased, and listed: %s", r)
	}
	change(func(call *kms.Call) error {
		_, err := c.ScheduleVaultDeletion(context.Background(), call, kms.VaultRef{ID: c.Tenant.Vault}, c.Now().Add(8*keys.Day))
		return err
	})
	if r := c.call(t, "CreateKey"); r.code() != "403 Forbidden.DKMSInstanceStateInvalid" {
		t.Errorf("a key while the default vault is scheduled: %s", r)
	}
	c.Clock.Add(8 * keys.Day)
	for _, action := range []string{"CreateKey", "GetDefaultKmsInstance"} {
		if r := c.call(t, action); r.code() != noInstance {
			t.Errorf("%s without a default vault: %s", action, r)
		}
	}
}

// TestInstanceNames walks the form of the names.
func TestInstanceNames(t *testing.T) {
	t.Parallel()
	for i := range 256 {
		id := keys.ID{byte(i), 15: byte(255 - i)}
		if got, ok := ParseInstance(InstanceName(id)); !ok || got != id {
			t.Errorf("%s reads as %s, %t", InstanceName(id), got, ok)
		}
	}
	name := InstanceName(keys.ID{1})
	for _, bad := range []string{
		"", "kst-", name[:len(name)-1], name + "a", strings.ToUpper(name), "key-" + name[4:], name[:len(name)-1] + "b", "kst-" + strings.Repeat("a", 26), "kst-" + strings.Repeat("1", 26),
	} {
		if id, ok := ParseInstance(bad); ok {
			t.Errorf("%s reads as %s", bad, id)
		}
	}
}

// TestKeyPolicy asks for the policies of keys in and outside of instances.
func TestKeyPolicy(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	ordinary, inside := c.newKey(t), c.newKey(t, "DKMSInstanceId="+InstanceName(c.newVault(t, "v")))
	arn := KeyARN(testRegion, "1234567890123456", mustID(t, inside))
	r := c.must(t, "GetKeyPolicy", "KeyId="+inside, "PolicyName=default")
	var policy struct {
		Version   string
		Statement []struct {
			Effect           string
			Principal        struct{ RAM []string }
			Action, Resource []string
		}
	}
	if err := json.Unmarshal([]byte(r.at("Policy")), &policy); err != nil || policy.Version != "1" || len(policy.Statement) != 1 || policy.Statement[0].Principal.RAM[0] != "acs:ram::1234567890123456:*" {
		t.Errorf("policy of a key in an instance: %s, %v", r, err)
	}
	c.must(t, "CreateAlias", "KeyId="+inside, "AliasName=alias/a")
	const unsupported = "400 Forbidden.KeyPolicyUnSupported"
	for _, tc := range []struct{ action, params, want string }{
		{"GetKeyPolicy", "KeyId=" + arn, ok},
		{"GetKeyPolicy", "KeyId=" + ordinary, unsupported},
		{"GetKeyPolicy", "KeyId=" + inside + "&PolicyName=mine", "404 Forbidden.ResourceNotFound"},
		{"GetKeyPolicy", "KeyId=alias/a", notByAlias},
		{"GetKeyPolicy", "KeyId=none", noKey},
		{"GetKeyPolicy", "", isMissing},
		{"SetKeyPolicy", "KeyId=" + inside + "&Policy={}", unsupported},
		{"SetKeyPolicy", "KeyId=" + ordinary + "&Policy={}&PolicyName=default", unsupported},
		{"SetKeyPolicy", "KeyId=none&Policy={}", noKey},
		{"SetKeyPolicy", "KeyId=" + inside, isMissing},
		{"SetKeyPolicy", "Policy={}", isMissing},
		{"SetKeyPolicy", "KeyId=" + inside + "&Policy=" + strings.Repeat("x", maxPolicy+1), isInvalid},
		{"CreateKey", "DKMSInstanceId=" + InstanceName(c.Tenant.Vault) + "&Policy={}", unsupported},
		{"GetSecretPolicy", "SecretName=s", notHere},
	} {
		r := c.call(t, tc.action, strings.Split(tc.params, "&")...)
		if r.code() != tc.want || (tc.want == unsupported && r.at("Message") != "The specified key does not support key policy.") {
			t.Errorf("%s %.80s: %s, want %s", tc.action, tc.params, r, tc.want)
		}
		if strings.Contains(tc.params, "mine") && r.at("Message") != "Policy not found." {
			t.Errorf("another policy: %s", r)
		}
	}
}

// TestAccount is about what an account has.
func TestAccount(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	if r := c.must(t, "DescribeAccountKmsStatus"); r.at("AccountStatus") != "Enabled" {
		t.Errorf("status: %s", r)
	}
	if r := c.call(t, "OpenKmsService"); r.code() != isOpen || r.at("Message") != "Your kms service has been opened." {
		t.Errorf("open: %s", r)
	}
}

// FuzzInstance reads any text as an instance's id: what is read renders as the same text.
func FuzzInstance(f *testing.F) {
	f.Add(InstanceName(keys.ID{1, 15: 255}))
	f.Add("kst-bjj62d8f5e0sgtx8h1234")
	f.Add("kst-aaaaaaaaaaaaaaaaaaaaaaaaab")
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := ParseInstance(s)
		if ok && (InstanceName(id) != s || id.IsZero()) {
			t.Errorf("%q reads as %s", s, id)
		}
		if ref := ParseInstanceName(s); ok != (ref.External == "" && ref.ID == id && !id.IsZero()) && s != "" {
			t.Errorf("%q refers to %+v", s, ref)
		}
	})
}
