// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"strings"
	"testing"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

// TestDeletionProtection turns the protection on and off, by id and by ARN, and tries to delete.
func TestDeletionProtection(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	arn := KeyARN(testRegion, "1234567890123456", mustID(t, key))
	look := func(step, on, description string) {
		t.Helper()
		r := c.must(t, "DescribeKey", "KeyId="+key)
		if r.at("KeyMetadata.DeletionProtection") != on || r.at("KeyMetadata.DeletionProtectionDescription") != description {
			t.Errorf("%s: %s", step, r)
		}
	}
	look("new", "Disabled", "")
	c.must(t, "SetDeletionProtection", "KeyId="+key, "EnableDeletionProtection=true", "DeletionProtectionDescription=the ledger's")
	look("on", "Enabled", "the ledger's")
	r := c.call(t, "ScheduleKeyDeletion", "KeyId="+key, "PendingWindowInDays=7")
	if r.code() != "409 Rejected.DeletionProtection" || strings.Contains(r.at("Message"), "NotFound") || !strings.Contains(r.header.Get(dialect.HintHeader), key) {
		t.Errorf("deleting: %s, hint %s", r, r.header.Get(dialect.HintHeader))
	}
	if got := c.must(t, "DescribeKey", "KeyId="+key).at("KeyMetadata.KeyState"); got != "Enabled" {
		t.Errorf("refused, and the key is %s", got)
	}
	c.must(t, "DisableKey", "KeyId="+key)
	c.must(t, "SetDeletionProtection", "ProtectedResourceArn="+arn, "EnableDeletionProtection=true")
	look("on again, without a description", "Enabled", "")
	r = c.must(t, "SetDeletionProtection", "ProtectedResourceArn="+arn, "KeyId="+key, "EnableDeletionProtection=false", "DeletionProtectionDescription=why")
	if got := r.header.Get(dialect.IgnoredHeader); got != "DeletionProtectionDescription" {
		t.Errorf("a description of no protection: ignored are %q", got)
	}
	look("off", "Disabled", "")
	c.must(t, "ScheduleKeyDeletion", "KeyId="+key, "PendingWindowInDays=7")
	if r := c.call(t, "SetDeletionProtection", "KeyId="+key, "EnableDeletionProtection=true"); r.code() != isPending {
		t.Errorf("protecting what is being deleted: %s", r)
	}
}

func TestDeletionProtectionRefused(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key, other := c.newKey(t), c.newKey(t)
	arn := func(key string) string { return KeyARN(testRegion, "1234567890123456", mustID(t, key)) }
	c.must(t, "CreateAlias", "KeyId="+key, "AliasName=alias/a")
	for params, want := range map[string]string{
		"":                                     isMissing,
		"KeyId=" + key:                         isMissing,
		"EnableDeletionProtection=true":        isMissing,
		"EnableDeletionProtection=true&KeyId=": isInvalid,
		"EnableDeletionProtection=maybe&KeyId=" + key:                                                isInvalid,
		"EnableDeletionProtection=true&KeyId=alias/a":                                                notByAlias,
		"EnableDeletionProtection=true&KeyId=" + arn(key):                                            isInvalid,
		"EnableDeletionProtection=true&ProtectedResourceArn=" + key:                                  isInvalid,
		"EnableDeletionProtection=true&ProtectedResourceArn=" + arn(key) + "&KeyId=" + other:         isInvalid,
		"EnableDeletionProtection=true&KmsInstanceId=kst-x":                                          notHere,
		"EnableDeletionProtection=true&KmsInstanceId=&ProtectedResourceArn=&KeyId=" + key:            ok,
		"EnableDeletionProtection=true&ProtectedResourceArn=acs:kms:" + testRegion + ":9:key/" + key: noKey,
	} {
		if r := c.call(t, "SetDeletionProtection", strings.Split(params, "&")...); r.code() != want {
			t.Errorf("%s: %s, want %s", params, r, want)
		}
	}
}

// TestProtectionHoldsForOtherClouds deletes a protected key's vault as another cloud would.
func TestProtectionHoldsForOtherClouds(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	vault := c.newVault(t, "held")
	key := c.newKey(t, "DKMSInstanceId="+InstanceName(vault))
	c.must(t, "SetDeletionProtection", "KeyId="+key, "EnableDeletionProtection=true")
	schedule := func() error {
		call := c.Call(t, c.Tenant)
		defer call.End()
		_, err := c.ScheduleVaultDeletion(context.Background(), call, kms.VaultRef{ID: vault}, c.Now().Add(10*keys.Day))
		return err
	}
	if err := schedule(); !keys.IsKind(err, keys.KindProtected) {
		t.Errorf("while the key is protected: %v", err)
	}
	c.must(t, "SetDeletionProtection", "KeyId="+key, "EnableDeletionProtection=false")
	if err := schedule(); err != nil {
		t.Errorf("after that: %v", err)
	}
}
