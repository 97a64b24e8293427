// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"strings"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// TestReEncrypt: what comes back under the new key and context is what went in, in its form.
func TestReEncrypt(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	from, to := c.newKey(t), c.newKey(t, "KeySpec=Aliyun_SM4")
	c.must(t, "CreateAlias", "KeyId="+to, "AliasName=alias/to")
	rsaKey, sm2 := c.newKey(t, "KeySpec=RSA_2048", "KeyUsage=ENCRYPT/DECRYPT"), c.newKey(t, "KeySpec=EC_SM2", "KeyUsage=ENCRYPT/DECRYPT")
	version := map[string]string{from: c.oneVersion(t, from), rsaKey: c.oneVersion(t, rsaKey), sm2: c.oneVersion(t, sm2)}
	arn := KeyARN(testRegion, "1234567890123456", mustID(t, to))
	symmetric := func(plaintext string) string {
		return c.must(t, "Encrypt", "KeyId="+from, "Plaintext="+plaintext, `EncryptionContext={"a":"old"}`).at("CiphertextBlob")
	}
	public := func(key, algorithm string) string {
		return c.must(t, "AsymmetricEncrypt", "KeyId="+key, "KeyVersionId="+version[key], "Algorithm="+algorithm, "Plaintext=aGk=").at("CiphertextBlob")
	}
	source := func(key, algorithm string) []string {
		return []string{"SourceKeyId=" + key, "SourceKeyVersionId=" + version[key], "SourceEncryptionAlgorithm=" + algorithm}
	}
	old := `SourceEncryptionContext={"a":"old"}`
	for _, tc := range []struct {
		name, blob, to string
		source         []string
		from, want     string
	}{
		{"base64", symmetric("aGk="), to, []string{old}, from, "aGk="},
		{"text", symmetric("some text"), "alias/to", []string{"SourceEncryptionContext.a=old"}, from, "some text"},
		{"its key named", symmetric("aGk="), arn, []string{old, "SourceKeyId=" + from}, from, "aGk="},
		{"its version named", symmetric("aGk="), arn, []string{old, "SourceKeyId=" + from, "SourceKeyVersionId=" + version[from]}, from, "aGk="},
		{"empty names", symmetric("aGk="), to, []string{old, "SourceKeyId=", "SourceKeyVersionId=", "SourceEncryptionAlgorithm="}, from, "aGk="},
		{"RSA", public(rsaKey, "RSAES_OAEP_SHA_1"), to, source(rsaKey, "RSAES_OAEP_SHA_1"), rsaKey, "aGk="},
		{"SM2", public(sm2, "SM2PKE"), to, source(sm2, "SM2PKE"), sm2, "aGk="},
	} {
		params := append(tc.source, "CiphertextBlob="+tc.blob, "DestinationKeyId="+tc.to, `DestinationEncryptionContext={"a":"new"}`)
		r := c.must(t, "ReEncrypt", params...)
		if r.at("KeyId") != tc.from || r.at("KeyVersionId") != version[tc.from] {
			t.Errorf("%s: not the source's ids: %s", tc.name, r)
		}
		opened := c.must(t, "Decrypt", "CiphertextBlob="+r.at("CiphertextBlob"), `EncryptionContext={"a":"new"}`)
		if opened.at("Plaintext") != tc.want || opened.at("KeyId") != to {
			t.Errorf("%s: %s", tc.name, opened)
		}
	}
}

// TestReEncryptRefused: what is wrong with the source, the destination, or the two together.
func TestReEncryptRefused(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	from, to := c.newKey(t), c.newKey(t)
	rsaKey := c.newKey(t, "KeySpec=RSA_2048", "KeyUsage=ENCRYPT/DECRYPT")
	version := c.oneVersion(t, rsaKey)
	blob := c.must(t, "Encrypt", "KeyId="+from, "Plaintext=aGk=").at("CiphertextBlob")
	block := c.must(t, "AsymmetricEncrypt", "KeyId="+rsaKey, "KeyVersionId="+version, "Algorithm=RSAES_OAEP_SHA_256", "Plaintext=aGk=").at("CiphertextBlob")
	theirs := c.callAs(t, c.Other, "CreateKey").at("KeyMetadata.KeyId")
	theirBlob := c.callAs(t, c.Other, "Encrypt", "KeyId="+theirs, "Plaintext=aGk=").at("CiphertextBlob")
	good := []string{"CiphertextBlob=" + blob, "DestinationKeyId=" + to}
	public := []string{
		"CiphertextBlob=" + block, "DestinationKeyId=" + to, "SourceKeyId=" + rsaKey, "SourceKeyVersionId=" + version,
		"SourceEncryptionAlgorithm=RSAES_OAEP_SHA_256",
	}
	for name, tc := range map[string]struct {
		params []string
		change string
		want   string
	}{
		"as it should be":                {good, "", ok},
		"a public key's, as it should":   {public, "", ok},
		"a context that it has not":      {good, `SourceEncryptionContext={"a":"b"}`, isInvalid},
		"another's ciphertext":           {good, "CiphertextBlob=" + theirBlob, noKey},
		"another's key":                  {good, "DestinationKeyId=" + theirs, noKey},
		"an asymmetric destination":      {good, "DestinationKeyId=" + rsaKey, isInvalid},
		"another source key":             {good, "SourceKeyId=" + to, isInvalid},
		"an algorithm for AES":           {public, "SourceKeyId=" + from, isInvalid},
		"a public key's, unnamed":        {good, "CiphertextBlob=" + block, isInvalid},
		"a public key's, by its key":     {append(good[1:2:2], "CiphertextBlob="+block), "SourceKeyId=" + rsaKey, isInvalid},
		"no version":                     {public, "SourceKeyVersionId=", isInvalid},
		"no source key":                  {public, "SourceKeyId=", isInvalid},
		"another algorithm":              {public, "SourceEncryptionAlgorithm=RSAES_OAEP_SHA_1", isInvalid},
		"an unknown algorithm":           {public, "SourceEncryptionAlgorithm=OAEP", isInvalid},
		"a context with a public key's":  {public, `SourceEncryptionContext={"a":"b"}`, isInvalid},
		"the cloud's other region":       {good, "DestinationKeyId=acs:kms:cn-beijing:1234567890123456:key/" + to, noKey},
		"a destination that is no alias": {good, "DestinationKeyId=alias/none", noAlias},
	} {
		if r := c.call(t, "ReEncrypt", append(tc.params[:len(tc.params):len(tc.params)], tc.change)...); r.code() != tc.want {
			t.Errorf("%s: %s, want %s", name, r, tc.want)
		}
	}
	for _, action := range []string{"ReEncrypt", "ExportDataKey", "Decrypt"} {
		r := c.call(t, action, "CiphertextBlob="+c.notShown(t, from, blob), "DestinationKeyId="+to, "PublicKeyBlob="+c.publicKeyBlob(t),
			"WrappingKeySpec=RSA_2048", "WrappingAlgorithm=RSAES_OAEP_SHA_256")
		if r.code() != noKey {
			t.Errorf("%s of what a key sealed that is not shown: %s", action, r)
		}
	}
	c.must(t, "DisableKey", "KeyId="+from)
	if r := c.call(t, "ReEncrypt", good...); r.code() != isDisabled {
		t.Errorf("with the source disabled: %s", r)
	}
	c.must(t, "EnableKey", "KeyId="+from)
	c.must(t, "ScheduleKeyDeletion", "KeyId="+to, "PendingWindowInDays=7")
	if r := c.call(t, "ReEncrypt", good...); r.code() != isPending {
		t.Errorf("with the destination pending deletion: %s", r)
	}
}

// notShown is a ciphertext of a key that this cloud does not show: like the given one, but kept by
// a key manager elsewhere.
func (c *cloud) notShown(t testing.TB, like, blob string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(blob)
	if err != nil {
		t.Fatal(err)
	}
	var key, version keys.ID
	_, _ = rand.Read(key[:])
	_, _ = rand.Read(version[:])
	_, err = c.Store.Update(t.Context(), func(tx store.Tx) error {
		k, err := store.LoadKey(tx, mustID(t, like))
		if err != nil {
			return err
		}
		v, err := store.LoadVersion(tx, k.Primary)
		if err != nil {
			return err
		}
		k.ID, k.Primary, k.Origin, k.Revision = key, version, keys.External, 0
		v.ID, v.Key, v.Revision = version, key, 0
		return errors.Join(tx.Put(k), tx.Put(v))
	})
	if err != nil {
		t.Fatal(err)
	}
	return b64(append([]byte(version.String()), raw[36:]...))
}

// TestExportDataKey opens with the recipient's private key what leaves under their public one.
func TestExportDataKey(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	blob := c.publicKeyBlob(t)
	for algorithm, h := range map[string]func() hash.Hash{"RSAES_OAEP_SHA_256": sha256.New, "RSAES_OAEP_SHA_1": sha1.New} {
		under := []string{"PublicKeyBlob=" + blob, "WrappingKeySpec=RSA_2048", "WrappingAlgorithm=" + algorithm}
		unwrap := func(r reply) string {
			wrapped, err := base64.StdEncoding.DecodeString(r.at("ExportedDataKey"))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := rsa.DecryptOAEP(h(), nil, c.Tenant.RSAKey, wrapped, nil)
			if err != nil {
				t.Errorf("%s: %v", algorithm, err)
			}
			return b64(plain)
		}
		for params, size := range map[string]int{"": 32, "KeySpec=AES_128": 16, "NumberOfBytes=100": 100, `EncryptionContext={"a":"b"}`: 32} {
			context := "x=y"
			if strings.HasPrefix(params, "Enc") {
				context = params
			}
			made := c.must(t, "GenerateAndExportDataKey", append(under, "KeyId="+key, params)...)
			opened := c.must(t, "Decrypt", "CiphertextBlob="+made.at("CiphertextBlob"), context)
			later := c.must(t, "ExportDataKey", append(under, "CiphertextBlob="+made.at("CiphertextBlob"), context)...)
			if want := opened.at("Plaintext"); unwrap(made) != want || unwrap(later) != want || len(want) != base64.StdEncoding.EncodedLen(size) {
				t.Errorf("%s %s: %d characters of base64", algorithm, params, len(want))
			}
			for _, r := range []reply{made, later} {
				if r.at("KeyId") != key || r.at("KeyVersionId") != opened.at("KeyVersionId") || r.has("Plaintext") {
					t.Errorf("%s %s: %s", algorithm, params, r)
				}
			}
			if later.has("CiphertextBlob") {
				t.Errorf("%s: exported with a ciphertext", later)
			}
		}
	}
	under := []string{"PublicKeyBlob=" + blob, "WrappingKeySpec=RSA_2048", "WrappingAlgorithm=RSAES_OAEP_SHA_256"}
	ec := c.newKey(t, "KeySpec=EC_P256")
	for _, tc := range []struct{ action, change, want string }{
		{"GenerateAndExportDataKey", "NumberOfBytes=190", ok},
		{"GenerateAndExportDataKey", "NumberOfBytes=191", isInvalid},
		{"GenerateAndExportDataKey", "KeyId=" + ec, isInvalid},
		{"GenerateAndExportDataKey", "KeySpec=AES_192", isInvalid},
		{"GenerateAndExportDataKey", "WrappingAlgorithm=SM2PKE", isInvalid},
		{"GenerateAndExportDataKey", "WrappingKeySpec=EC_SM2", isInvalid},
		{"ExportDataKey", `EncryptionContext={"a":"b"}`, isInvalid},
		{"ExportDataKey", "CiphertextBlob=" + b64(make([]byte, 100)), isInvalid},
	} {
		dek := c.must(t, "GenerateDataKeyWithoutPlaintext", "KeyId="+key).at("CiphertextBlob")
		if r := c.call(t, tc.action, append(under, "KeyId="+key, "CiphertextBlob="+dek, tc.change)...); r.code() != tc.want {
			t.Errorf("%s %s: %s, want %s", tc.action, tc.change, r, tc.want)
		}
	}
}
