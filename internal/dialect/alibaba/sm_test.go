// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"claviger/internal/dialect"
	"claviger/internal/keys"
)

// TestChineseSpecs makes keys of both specs at either protection level, with each usage.
func TestChineseSpecs(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(cfg *Config) { cfg.SoftwareHSM = true })
	for _, tc := range []struct{ params, usage string }{
		{"KeySpec=EC_SM2", usageSign},
		{"KeySpec=EC_SM2&KeyUsage=ENCRYPT/DECRYPT&ProtectionLevel=HSM", usageEncrypt},
		{"KeySpec=Aliyun_SM4", usageEncrypt},
		{"KeySpec=Aliyun_SM4&ProtectionLevel=HSM", usageEncrypt},
		{"KeySpec=HMAC_SHA_224", usageMAC},
		{"KeySpec=HMAC_SM3&KeyUsage=GENERATE_MAC/VERIFY_MAC&ProtectionLevel=SOFTWARE", usageMAC},
	} {
		made := c.must(t, "CreateKey", strings.Split(tc.params, "&")...)
		seen := c.must(t, "DescribeKey", "KeyId="+made.at("KeyMetadata.KeyId"))
		spec, _, _ := strings.Cut(strings.TrimPrefix(tc.params, "KeySpec="), "&")
		for _, r := range []reply{made, seen} {
			if r.at("KeyMetadata.KeySpec") != spec || r.at("KeyMetadata.KeyUsage") != tc.usage || r.at("KeyMetadata.AutomaticRotation") != "Disabled" {
				t.Errorf("%s: %s", tc.params, r)
			}
			if primary := r.has("KeyMetadata.PrimaryKeyVersion"); primary != (spec == "Aliyun_SM4") {
				t.Errorf("%s: a primary version: %t", tc.params, primary)
			}
			if got, want := r.header.Get(dialect.ProtectionHeader), strings.Contains(tc.params, "=HSM"); (got == "software") != want {
				t.Errorf("%s: protection header %q", tc.params, got)
			}
		}
		filter := `Filters=[{"Key":"KeyUsage","Values":["` + tc.usage + `"]},{"Key":"KeySpec","Values":["` + spec + `"]}]`
		if !strings.Contains(c.must(t, "ListKeys", filter, "PageSize=100").body, made.at("KeyMetadata.KeyId")) {
			t.Errorf("%s: not among those of its spec and usage", tc.params)
		}
	}
}

// TestSM4Keys: everything that an AES key does, and rotation.
func TestSM4Keys(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t, "KeySpec=Aliyun_SM4", "EnableAutomaticRotation=true", "RotationInterval=30d")
	sealed := c.must(t, "Encrypt", "KeyId="+key, "Plaintext=some text", `EncryptionContext={"a":"b"}`)
	c.advance(t, 31*keys.Day)
	if again := c.must(t, "Encrypt", "KeyId="+key, "Plaintext=x"); again.at("KeyVersionId") == sealed.at("KeyVersionId") {
		t.Errorf("the key did not rotate: %s", again)
	}
	opened := c.must(t, "Decrypt", "CiphertextBlob="+sealed.at("CiphertextBlob"), `EncryptionContext={"a":"b"}`)
	if opened.at("Plaintext") != "some text" || opened.at("KeyVersionId") != sealed.at("KeyVersionId") {
		t.Errorf("%s", opened)
	}
	dek := c.must(t, "GenerateDataKey", "KeyId="+key, "KeySpec=AES_128")
	if back := c.must(t, "Decrypt", "CiphertextBlob="+dek.at("CiphertextBlob")); back.at("Plaintext") != dek.at("Plaintext") {
		t.Errorf("%s", back)
	}
}

// TestSM2Operations signs and encrypts, to the limits.
func TestSM2Operations(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	signer, box := c.newKey(t, "KeySpec=EC_SM2"), c.newKey(t, "KeySpec=EC_SM2", "KeyUsage=ENCRYPT/DECRYPT")
	sign := []string{"KeyId=" + signer, "KeyVersionId=" + c.oneVersion(t, signer), "Algorithm=SM2DSA", "Digest=" + aDigest}
	value := c.must(t, "AsymmetricSign", sign...).at("Value")
	if sig, err := base64.StdEncoding.DecodeString(value); err != nil || sig[0] != 0x30 || len(sig) > 72 {
		t.Errorf("a signature of %d bytes, %v", len(sig), err)
	}
	if r := c.must(t, "AsymmetricVerify", append(sign, "Value="+value)...); r.at("Value") != "true" {
		t.Errorf("%s", r)
	}
	other := append(sign[:3:3], "Digest=B"+aDigest[1:])
	if r := c.must(t, "AsymmetricVerify", append(other, "Value="+value)...); r.at("Value") != "false" {
		t.Errorf("of another digest: %s", r)
	}
	block, _ := pem.Decode([]byte(c.must(t, "GetPublicKey", sign[0], sign[1]).at("PublicKey")))
	if block == nil || block.Type != "PUBLIC KEY" || len(block.Bytes) != 91 {
		t.Error("no PEM of an SM2 key")
	}

	head := []string{"KeyId=" + box, "KeyVersionId=" + c.oneVersion(t, box), "Algorithm=SM2PKE"}
	for _, n := range []int{1, 32, maxSM2Plaintext} {
		plaintext := b64(make([]byte, n))
		ct := c.must(t, "AsymmetricEncrypt", append(head, "Plaintext="+plaintext)...).at("CiphertextBlob")
		if r := c.must(t, "AsymmetricDecrypt", append(head, "CiphertextBlob="+ct)...); r.at("Plaintext") != plaintext || r.at("KeyId") != box {
			t.Errorf("%d bytes: %.200s", n, r)
		}
		raw, err := base64.StdEncoding.DecodeString(ct)
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)-1] ^= 1
		if r := c.call(t, "AsymmetricDecrypt", append(head, "CiphertextBlob="+b64(raw))...); r.code() != isInvalid {
			t.Errorf("%d bytes, changed: %s", n, r)
		}
	}
	for name, plaintext := range map[string]string{"too long": b64(make([]byte, maxSM2Plaintext+1)), "nothing": "", "text": "plaintext"} {
		if r := c.call(t, "AsymmetricEncrypt", append(head, "Plaintext="+plaintext)...); r.code() != isInvalid {
			t.Errorf("%s: %s", name, r)
		}
	}
	for _, tc := range []struct{ action, key, params, want string }{
		{"AsymmetricSign", box, "Algorithm=SM2DSA Digest=" + aDigest, isInvalid},
		{"AsymmetricSign", signer, "Algorithm=ECDSA_SHA_256 Digest=" + aDigest, isInvalid},
		{"AsymmetricSign", signer, "Algorithm=SM2DSA Digest=aGk=", isInvalid},
		{"AsymmetricEncrypt", signer, "Algorithm=SM2PKE Plaintext=aGk=", "400 Rejected.UnsupportedOperation"},
		{"AsymmetricEncrypt", box, "Algorithm=RSAES_OAEP_SHA_256 Plaintext=aGk=", "400 Rejected.UnsupportedOperation"},
		{"Encrypt", box, "Plaintext=aGk=", "400 UnsupportedOperation"},
		{"CreateKeyVersion", signer, "", "400 Rejected.UnsupportedOperation"}, // within seven days
	} {
		params := append(strings.Fields(tc.params), "KeyId="+tc.key, "KeyVersionId="+c.oneVersion(t, tc.key))
		if r := c.call(t, tc.action, params...); r.code() != tc.want {
			t.Errorf("%s %s: %s, want %s", tc.action, tc.params, r, tc.want)
		}
	}
	c.advance(t, 7*keys.Day)
	second := c.must(t, "CreateKeyVersion", "KeyId="+signer).at("KeyVersion.KeyVersionId")
	newer := append([]string{"KeyId=" + signer, "KeyVersionId=" + second}, sign[2:]...)
	if r := c.must(t, "AsymmetricVerify", append(newer, "Value="+value)...); r.at("Value") != "false" {
		t.Errorf("by another version: %s", r)
	}
}

// TestMAC makes and verifies MACs with every spec, by id, alias and ARN.
func TestMAC(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for algorithm, size := range map[string]int{"HMAC_SM3": 32, "HMAC_SHA_224": 28, "HMAC_SHA_256": 32, "HMAC_SHA_384": 48, "HMAC_SHA_512": 64} {
		key := c.newKey(t, "KeySpec="+algorithm)
		alias := "alias/" + algorithm
		c.must(t, "CreateAlias", "KeyId="+key, "AliasName="+alias)
		for _, name := range []string{key, alias, KeyARN(testRegion, "1234567890123456", mustID(t, key))} {
			params := []string{"KeyId=" + name, "Algorithm=" + algorithm, "Message=aGVsbG8="}
			made := c.must(t, "GenerateMac", params...)
			mac, err := base64.StdEncoding.DecodeString(made.at("Mac"))
			if err != nil || len(mac) != size || made.at("KeyId") != key || made.at("Algorithm") != algorithm || made.has("KeyVersionId") {
				t.Errorf("%s by %s: %s", algorithm, name, made)
			}
			for value, want := range map[string]string{b64(mac): "true", b64(mac[1:]): "false", b64(append(mac[:size-1:size-1], mac[size-1]^1)): "false"} {
				if r := c.must(t, "VerifyMac", append(params, "Mac="+value)...); r.at("Value") != want || r.at("KeyId") != key || r.at("Algorithm") != algorithm {
					t.Errorf("%s by %s: %s, want %s", algorithm, name, r, want)
				}
			}
		}
	}
	key, aes := c.newKey(t, "KeySpec=HMAC_SHA_256"), c.newKey(t)
	longest := b64(make([]byte, 100_000))
	c.must(t, "GenerateMac", "KeyId="+key, "Algorithm=HMAC_SHA_256", "Message="+longest)
	for _, tc := range []struct{ action, key, params, want string }{
		{"GenerateMac", key, "Algorithm=HMAC_SHA_512 Message=aGk=", isInvalid},
		{"VerifyMac", key, "Algorithm=HMAC_SM3 Message=aGk= Mac=aGk=", isInvalid},
		{"GenerateMac", aes, "Algorithm=HMAC_SHA_256 Message=aGk=", isInvalid},
		{"Encrypt", key, "Plaintext=aGk=", "400 UnsupportedOperation"},
		{"GenerateDataKey", key, "", "400 UnsupportedOperation"},
		{"CreateKeyVersion", key, "", "400 Rejected.UnsupportedOperation"},
		{"UpdateRotationPolicy", key, "EnableAutomaticRotation=true RotationInterval=30d", "400 Rejected.UnsupportedOperation"},
	} {
		if r := c.call(t, tc.action, append(strings.Fields(tc.params), "KeyId="+tc.key)...); r.code() != tc.want {
			t.Errorf("%s %s: %s, want %s", tc.action, tc.params, r, tc.want)
		}
	}
}
