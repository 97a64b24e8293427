// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"strings"
	"testing"

	"claviger/internal/keys"
)

func TestNames(t *testing.T) {
	t.Parallel()
	id := keys.ID{0x0b, 0x30, 0x65, 0x8a, 0xed, 0x1a, 0x49, 0x22, 0xb8, 0xf7, 0xa6, 0x73, 0xca, 0x9c, 0x12, 0x34}
	const name = "0b30658a-ed1a-4922-b8f7-a673ca9c1234"
	if got := KeyName(id); got != name {
		t.Errorf("key name is %s", got)
	}
	arn := KeyARN("cn-hangzhou", "1234567890123456", id)
	if want := "acs:kms:cn-hangzhou:1234567890123456:key/" + name; arn != want {
		t.Errorf("key ARN is %s, want %s", arn, want)
	}
	if got, ok := ParseARN(arn); !ok || got != (ARN{"cn-hangzhou", "1234567890123456", name}) {
		t.Errorf("%s reads as %+v, %t", arn, got, ok)
	}
	if got, want := AliasARN("cn-hangzhou", "1234567890123456", "alias/app"), "acs:kms:cn-hangzhou:1234567890123456:alias/app"; got != want {
		t.Errorf("alias ARN is %s, want %s", got, want)
	}
	if ref := ParseKeyName(name); ref.ID != id || ref.External != "" || ref.Foreign {
		t.Errorf("%s reads as %+v", name, ref)
	}
	for _, external := range []string{"key-hzz630494463ejqjx0000", strings.ToUpper(name), "0b30658aed1a4922b8f7a673ca9c1234"} {
		if ref := ParseKeyName(external); !ref.ID.IsZero() || ref.External != external {
			t.Errorf("%s reads as %+v", external, ref)
		}
		if ref := ParseVersionName(external); !ref.ID.IsZero() || ref.External != external {
			t.Errorf("%s reads as %+v", external, ref)
		}
	}
}

func TestARNRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "acs:kms:", "acs:kms:r:1", "acs:kms:r:1:key/", "acs:kms:r::key/x", "acs:kms::1:key/x", "acs:ecs:r:1:key/x", "acs:kms:r:1:alias/x",
		"acs:kms:r:1:key/x/y", "acs:kms:r:1:key/x:y", "acs:kms:r:1:2:key/x", "arn:acs:kms:r:1:key/x",
	} {
		if a, ok := ParseARN(s); ok {
			t.Errorf("%q is accepted as %+v", s, a)
		}
	}
}

func FuzzARN(f *testing.F) {
	f.Add("acs:kms:cn-hangzhou:1234567890123456:key/0b30658a-ed1a-4922-b8f7-a673ca9c1234")
	f.Add("acs:kms:::key/")
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := ParseARN(s)
		if ok && arnPrefix+a.Region+":"+a.Account+":key/"+a.Key != s {
			t.Errorf("%q reads as %+v", s, a)
		}
	})
}

func TestAliasGrammar(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"alias/a", "alias/A-z_0/9", "alias/" + strings.Repeat("x", 255), "alias//"} {
		if !validAlias(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"", "alias/", "alias", "Alias/a", "a", "alias/a b", "alias/é", "alias/a.b", "alias/a:b", "alias/" + strings.Repeat("x", 256)} {
		if validAlias(s) {
			t.Errorf("%q is accepted", s)
		}
	}
	for s, ok := range map[string]bool{"alias/acs/x": false, "alias/acsx": false, "alias/ac": true} {
		r := with("AliasName", s)
		if r.newAlias("AliasName"); (r.err == nil) != ok {
			t.Errorf("new alias %q: %v", s, r.err)
		}
		r = with("AliasName", s)
		if r.alias("AliasName"); r.err != nil {
			t.Errorf("alias %q: %v", s, r.err)
		}
	}
}

// TestProjection lists every cell: what each spec, usage, origin and state is called, and
// what is not shown.
func TestProjection(t *testing.T) {
	t.Parallel()
	want := map[keys.Spec]string{
		keys.AES256: "Aliyun_AES_256", keys.AES192: "Aliyun_AES_192", keys.AES128: "Aliyun_AES_128", keys.RSA2048: "RSA_2048",
		keys.RSA3072: "RSA_3072", keys.RSA4096: "RSA_4096", keys.ECP256: "EC_P256", keys.SECP256K1: "EC_P256K",
		keys.ECP384: "", keys.ECP521: "", keys.SM2: "EC_SM2", keys.SM4: "Aliyun_SM4", keys.HMACSHA224: "HMAC_SHA_224",
		keys.HMACSHA256: "HMAC_SHA_256", keys.HMACSHA384: "HMAC_SHA_384", keys.HMACSHA512: "HMAC_SHA_512", keys.HMACSM3: "HMAC_SM3",
	}
	for _, spec := range keys.Specs() {
		name, listed := want[spec]
		if !listed {
			t.Errorf("spec %s is in no cell", spec)
		}
		if got := nameOfSpec(spec); got != name {
			t.Errorf("spec %s is %q, want %q", spec, got, name)
		}
		if back, ok := specByName(name); ok != (name != "") || (ok && back != spec) {
			t.Errorf("%q reads as %s", name, back)
		}
		k := keys.Key{Spec: spec, Usages: spec.Usages(), Origin: keys.Generated}
		if Visible(&k) != (name != "") {
			t.Errorf("a %s key is visible: %t", spec, Visible(&k))
		}
	}
	for usage, name := range map[keys.Usage]string{
		keys.UsageEncrypt: "ENCRYPT/DECRYPT", keys.UsageSign: "SIGN/VERIFY", keys.UsageEncrypt | keys.UsageSign: "ENCRYPT/DECRYPT",
		keys.UsageMAC: "GENERATE_MAC/VERIFY_MAC",
	} {
		if got := nameOfUsage(usage); got != name {
			t.Errorf("usage %v is %s, want %s", usage, got, name)
		}
	}
	for _, hidden := range []keys.Key{
		{Spec: keys.AES256, Usages: keys.UsageEncrypt, Origin: keys.External},
		{Spec: keys.AES256, Usages: keys.UsageMAC, Origin: keys.Generated},
		{Spec: keys.AES256, Origin: keys.Generated},
	} {
		if Visible(&hidden) {
			t.Errorf("%+v is visible", hidden)
		}
	}
	for origin, name := range map[keys.Origin]string{keys.Generated: "Aliyun_KMS", keys.Imported: "EXTERNAL"} {
		if got := nameOfOrigin(origin); got != name {
			t.Errorf("origin %s is %s, want %s", origin, got, name)
		}
	}
	for state, name := range map[keys.State]string{
		keys.Enabled: "Enabled", keys.Disabled: "Disabled", keys.PendingDeletion: "PendingDeletion", keys.PendingImport: "PendingImport", keys.Deleted: "",
	} {
		if got := nameOfState(state); got != name {
			t.Errorf("state %s is %q, want %q", state, got, name)
		}
	}
}
