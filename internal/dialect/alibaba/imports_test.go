// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"claviger/internal/keys"
)

const (
	noMaterial = "400 InvalidKeyMaterial"
	noToken    = "400 InvalidImportToken"
	tokenOver  = "400 ExpiredImportToken"
	noOrigin   = "400 Unsupported.Origin"
)

// theMaterial is the AES-256 material that tests import.
var theMaterial = []byte("the material that tests import.!")

// forImport asks for parameters: a public key and a token.
func (c *cloud) forImport(t testing.TB, key, spec, algorithm string) (public []byte, token string) {
	t.Helper()
	r := c.must(t, "GetParametersForImport", "KeyId="+key, "WrappingKeySpec="+spec, "WrappingAlgorithm="+algorithm)
	public, err := base64.StdEncoding.DecodeString(r.at("PublicKey"))
	if err != nil || r.at("KeyId") != key || r.at("ImportToken") == "" {
		t.Fatalf("parameters: %s: %v", r, err)
	}
	return public, r.at("ImportToken")
}

// wrapFor wraps material as a client does.
func wrapFor(t testing.TB, public []byte, algorithm string, material []byte) string {
	t.Helper()
	pub, err := smx509.ParsePKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	switch algorithm {
	case "SM2PKE":
		out, err = sm2.EncryptASN1(rand.Reader, pub.(*ecdsa.PublicKey), material)
	case "RSAES_PKCS1_V1_5":
		out, err = rsa.EncryptPKCS1v15(rand.Reader, pub.(*rsa.PublicKey), material) //nolint:staticcheck // SA1019: one of the cloud's algorithms
	case "RSAES_OAEP_SHA_1":
		out, err = rsa.EncryptOAEP(sha1.New(), rand.Reader, pub.(*rsa.PublicKey), material, nil)
	case "RSAES_OAEP_SHA_256":
		out, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, pub.(*rsa.PublicKey), material, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b64(out)
}

// wrapped is theMaterial, wrapped for a key, with the token.
func (c *cloud) wrapped(t testing.TB, key string) (material, token string) {
	t.Helper()
	public, token := c.forImport(t, key, "EC_SM2", "SM2PKE")
	return wrapFor(t, public, "SM2PKE", theMaterial), token
}

// importMaterial imports theMaterial.
func (c *cloud) importMaterial(t testing.TB, key string, params ...string) {
	t.Helper()
	material, token := c.wrapped(t, key)
	c.must(t, "ImportKeyMaterial", append(params, "KeyId="+key, "EncryptedKeyMaterial="+material, "ImportToken="+token)...)
}

func (c *cloud) look(t testing.TB, key string) map[string]any {
	t.Helper()
	return metadataOf(t, c.must(t, "DescribeKey", "KeyId="+key))
}

// TestImport goes each way of wrapping with each spec: what was imported is what encrypts.
func TestImport(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for _, w := range importWrappings {
		for spec, size := range map[string]int{"Aliyun_AES_256": 32, "Aliyun_AES_192": 24, "Aliyun_AES_128": 16, "Aliyun_SM4": 16} {
			key := c.newKey(t, "Origin=EXTERNAL", "KeySpec="+spec)
			made := c.look(t, key)
			if made["KeyState"] != "PendingImport" || made["Origin"] != "EXTERNAL" || made["PrimaryKeyVersion"] != "" || made["LastRotationDate"] != "" ||
				made["MaterialExpireTime"] != "" || c.must(t, "ListKeyVersions", "KeyId="+key).at("TotalCount") != "0" {
				t.Errorf("%s: made as %v", spec, made)
			}
			public, token := c.forImport(t, key, nameOfSpec(w.spec), w.algorithm)
			c.must(t, "ImportKeyMaterial", "KeyId="+key, "EncryptedKeyMaterial="+wrapFor(t, public, w.algorithm, theMaterial[:size]), "ImportToken="+token)
			now := c.look(t, key)
			if now["KeyState"] != "Enabled" || now["PrimaryKeyVersion"] != c.oneVersion(t, key) || now["LastRotationDate"] != c.now() || now["MaterialExpireTime"] != "" {
				t.Errorf("%s %s: imported as %v", w.algorithm, spec, now)
			}
			sealed := c.must(t, "Encrypt", "KeyId="+key, "Plaintext=aGk=").at("CiphertextBlob")
			if r := c.must(t, "Decrypt", "CiphertextBlob="+sealed); r.at("Plaintext") != "aGk=" {
				t.Errorf("%s %s: %s", w.algorithm, spec, r)
			}
		}
	}
}

// TestParametersForImport holds what the answer says against what was asked.
func TestParametersForImport(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key, mine := c.newKey(t, "Origin=EXTERNAL"), c.newKey(t)
	params := []string{"KeyId=" + key, "WrappingKeySpec=RSA_2048", "WrappingAlgorithm=RSAES_OAEP_SHA_256"}
	r := c.must(t, "GetParametersForImport", params...)
	der, err := base64.StdEncoding.DecodeString(r.at("PublicKey"))
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.ParsePKIXPublicKey(der)
	if k, isRSA := pub.(*rsa.PublicKey); err != nil || !isRSA || k.Size() != 256 {
		t.Errorf("the public key: %T %v", pub, err)
	}
	if want := c.Clock.Now().Add(24 * time.Hour).Format(timeLayout); r.at("TokenExpireTime") != want {
		t.Errorf("%s, want %s", r, want)
	}
	if again := c.must(t, "GetParametersForImport", params...); again.at("PublicKey") == r.at("PublicKey") || again.at("ImportToken") == r.at("ImportToken") {
		t.Error("two calls gave one pair")
	}
	for name, tc := range map[string]struct {
		params []string
		want   string
	}{
		"a key made here":     {[]string{"KeyId=" + mine}, noOrigin},
		"the other's":         {[]string{"WrappingAlgorithm=SM2PKE"}, isInvalid},
		"another's":           {[]string{"WrappingKeySpec=EC_SM2"}, isInvalid},
		"an unknown spec":     {[]string{"WrappingKeySpec=RSA_4096"}, isInvalid},
		"an unknown way":      {[]string{"WrappingAlgorithm=RSAES_OAEP_SHA_512"}, isInvalid},
		"no key of that name": {[]string{"KeyId=none"}, noKey},
	} {
		if r := c.call(t, "GetParametersForImport", append(params[:len(params):len(params)], tc.params...)...); r.code() != tc.want {
			t.Errorf("%s: %s, want %s", name, r, tc.want)
		}
	}
	for _, action := range []string{"ImportKeyMaterial", "DeleteKeyMaterial"} {
		if r := c.call(t, action, "KeyId="+mine, "EncryptedKeyMaterial=aGk=", "ImportToken=aGk="); r.code() != noOrigin {
			t.Errorf("%s of a key made here: %s", action, r)
		}
	}
}

// TestImportRefused: everything that can be wrong with wrapped material is the same answer to the
// byte, and everything that can be wrong with a token is another.
func TestImportRefused(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key, other := c.newKey(t, "Origin=EXTERNAL"), c.newKey(t, "Origin=EXTERNAL")
	_, others := c.forImport(t, other, "EC_SM2", "SM2PKE")
	cut := func(s string) string { return s[:len(s)-4] }
	flip := func(s string, at int) string {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		b[(at+len(b))%len(b)] ^= 1
		return b64(b)
	}
	bodies := map[string]string{}
	refuse := func(name, material, token, want string) {
		t.Helper()
		r := c.call(t, "ImportKeyMaterial", "KeyId="+key, "EncryptedKeyMaterial="+material, "ImportToken="+token)
		if r.code() != want {
			t.Errorf("%s: %s, want %s", name, r, want)
		}
		body := strings.ReplaceAll(r.body, r.header.Get("X-Acs-Request-Id"), "") + r.header.Get("X-Claviger-Hint")
		if bodies[want] == "" {
			bodies[want] = body
		}
		if bodies[want] != body {
			t.Errorf("%s: not the same as the others: %s", name, body)
		}
	}
	for _, w := range importWrappings {
		public, token := c.forImport(t, key, nameOfSpec(w.spec), w.algorithm)
		good := wrapFor(t, public, w.algorithm, theMaterial)
		for name, material := range map[string]string{
			"15 bytes": wrapFor(t, public, w.algorithm, theMaterial[:15]), "16 bytes": wrapFor(t, public, w.algorithm, theMaterial[:16]),
			"33 bytes": wrapFor(t, public, w.algorithm, append(theMaterial[:32:32], 0)), "a flipped bit": flip(good, 20), "a flipped last bit": flip(good, -1),
			"cut": cut(good), "doubled": b64([]byte(good)), "unwrapped": b64(theMaterial), "long": strings.Repeat("AAAA", 2000), "short": "aGk=",
			"as numbers": wrapFor(t, public, w.algorithm, []byte(fmt.Sprintf("%x", theMaterial[:16]))[:31]),
		} {
			refuse(w.algorithm+", "+name, material, token, noMaterial)
		}
		for name, token := range map[string]string{
			"a flipped bit": flip(token, 20), "another format": flip(token, 0), "another generation": flip(token, 4), "a flipped last bit": flip(token, -1),
			"cut": cut(token), "short": "aGk=", "another key's": others, "the material": good,
		} {
			refuse(w.algorithm+", token: "+name, good, token, noToken)
		}
	}
	if c.look(t, key)["KeyState"] != "PendingImport" {
		t.Error("something was imported")
	}
}

// TestMaterialEnds: imported material is over at its second, and comes back only as it was.
func TestMaterialEnds(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t, "Origin=EXTERNAL")
	public, token := c.forImport(t, key, "EC_SM2", "SM2PKE")
	good := []string{"KeyId=" + key, "EncryptedKeyMaterial=" + wrapFor(t, public, "SM2PKE", theMaterial), "ImportToken=" + token}
	until := func(d time.Duration) string {
		return fmt.Sprintf("KeyMaterialExpireUnix=%d", c.Clock.Now().Add(d).Unix())
	}
	load := func(want string, params ...string) {
		t.Helper()
		if r := c.call(t, "ImportKeyMaterial", append(params, good...)...); r.code() != want {
			t.Errorf("import %q: %s, want %s", params, r, want)
		}
	}
	encrypt := func(want string) string {
		t.Helper()
		r := c.call(t, "Encrypt", "KeyId="+key, "Plaintext=aGk=")
		if r.code() != want {
			t.Errorf("encrypt: %s, want %s", r, want)
		}
		return r.at("CiphertextBlob")
	}
	is := func(state, expires string) {
		t.Helper()
		if m := c.look(t, key); m["KeyState"] != state || m["MaterialExpireTime"] != expires {
			t.Errorf("%v, want %s until %q", m, state, expires)
		}
	}
	load(isInvalid, until(0))
	load(isInvalid, until(-time.Second))
	is("PendingImport", "")
	load(ok, until(time.Hour))
	end := "2026-01-02T04:04:05Z"
	is("Enabled", end)
	sealed := encrypt(ok)
	c.must(t, "DisableKey", "KeyId="+key)
	c.Clock.Add(time.Hour - time.Second)
	is("Disabled", end)
	c.must(t, "EnableKey", "KeyId="+key)
	encrypt(ok)
	c.Clock.Add(time.Second)
	is("PendingImport", end)
	encrypt(isForImport)
	if r := c.call(t, "EnableKey", "KeyId="+key); r.code() != wrongState {
		t.Errorf("enable without material: %s", r)
	}

	// Before the sweep and after it the same can be imported, and nothing else.
	load(ok)
	is("Enabled", "")
	c.must(t, "DeleteKeyMaterial", "KeyId="+key)
	c.must(t, "DeleteKeyMaterial", "KeyId="+key)
	is("PendingImport", "")
	load(ok, until(time.Minute))
	c.Clock.Add(time.Hour)
	if _, err := c.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	is("PendingImport", "2026-01-02T04:05:05Z")
	different := wrapFor(t, public, "SM2PKE", append([]byte("x"), theMaterial[1:]...))
	if r := c.call(t, "ImportKeyMaterial", "KeyId="+key, "EncryptedKeyMaterial="+different, "ImportToken="+token); r.code() != noMaterial {
		t.Errorf("other material: %s", r)
	}
	load(ok)
	is("Enabled", "")
	if r := c.must(t, "Decrypt", "CiphertextBlob="+sealed); r.at("Plaintext") != "aGk=" || r.at("KeyVersionId") != c.oneVersion(t, key) {
		t.Errorf("what was sealed before: %s", r)
	}

	// A deletion goes on without material, and cancelled leaves a key that waits for it.
	c.must(t, "ScheduleKeyDeletion", "KeyId="+key, "PendingWindowInDays=7")
	c.must(t, "DeleteKeyMaterial", "KeyId="+key)
	if m := c.look(t, key); m["KeyState"] != "PendingDeletion" || m["DeleteDate"] != "2026-01-09T05:04:05Z" {
		t.Errorf("pending deletion without material: %v", m)
	}
	load(wrongState)
	c.must(t, "CancelKeyDeletion", "KeyId="+key)
	is("PendingImport", "")

	// The token is over a day after it was made: 22 hours from now.
	c.Clock.Add(22*time.Hour - time.Second)
	load(ok)
	c.Clock.Add(time.Second)
	load(tokenOver)
	c.importMaterial(t, key)
}

// TestImportedKeysDoNotRotate: their material is all that they have.
func TestImportedKeysDoNotRotate(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t, "Origin=EXTERNAL")
	c.importMaterial(t, key)
	c.advance(t, 8*keys.Day)
	for action, params := range map[string][]string{
		"CreateKeyVersion":     nil,
		"UpdateRotationPolicy": {"EnableAutomaticRotation=true", "RotationInterval=30d"},
	} {
		if r := c.call(t, action, append(params, "KeyId="+key)...); r.code() != "400 Rejected.UnsupportedOperation" {
			t.Errorf("%s: %s", action, r)
		}
	}
}

// TestWrappingKeyIsNotShown: the key under which the other cloud imports is no key of this one's.
func TestWrappingKeyIsNotShown(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.newKey(t)
	call := c.Call(t, c.Tenant)
	call.Vault = c.Tenant.Vault
	v, err := c.WrappingKey(context.Background(), call)
	call.End()
	if err != nil {
		t.Fatal(err)
	}
	if r := c.must(t, "ListKeys"); r.at("TotalCount") != "1" {
		t.Errorf("%s", r)
	}
	for _, action := range []string{"DescribeKey", "ListKeyVersions", "DisableKey", "GetParametersForImport", "DeleteKeyMaterial"} {
		r := c.call(t, action, "KeyId="+KeyName(v.Key), "WrappingKeySpec=RSA_2048", "WrappingAlgorithm=RSAES_OAEP_SHA_1")
		if r.code() != noKey {
			t.Errorf("%s: %s", action, r)
		}
	}
}
