// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"sync/atomic"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// TestPlaintextComesBackAsGiven encrypts bytes and texts of every kind.
func TestPlaintextComesBackAsGiven(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	for name, plaintext := range map[string]string{
		"base64":              "SGVsbG8=",
		"text":                "plaintext",
		"text that is base64": "text",
		"base64 of no canon":  "YR==",
		"unpadded base64":     "YQ",
		"URL-safe base64":     "-_-_",
		"base64 with a break": "YWJj\nZGVm",
		"text in two scripts": "päss wörd 漢字 😀",
		"control characters":  "a\x00b\x1f\r\n\t\"\\<&>",
		"one byte":            "x",
		"longest bytes":       b64(make([]byte, maxPlaintext)),
		"longest text":        strings.Repeat("x", maxPlaintext-1) + "!",
		"text with a percent": "100%25",
		"a plus sign":         "+/+/",
	} {
		for _, context := range [][]string{nil, {`EncryptionContext={"tenant":"é","empty":""}`}} {
			sealed := c.must(t, "Encrypt", append([]string{"KeyId=" + key, "Plaintext=" + plaintext}, context...)...)
			r := c.must(t, "Decrypt", append([]string{"CiphertextBlob=" + sealed.at("CiphertextBlob")}, context...)...)
			if r.at("Plaintext") != plaintext || r.at("KeyId") != key || r.at("KeyVersionId") != sealed.at("KeyVersionId") {
				t.Errorf("%s: %.200s", name, r)
			}
		}
	}
	for name, plaintext := range map[string]string{
		"too many bytes": b64(make([]byte, maxPlaintext+1)), "too long a text": strings.Repeat("x", maxPlaintext) + "!", "nothing": "",
	} {
		if r := c.call(t, "Encrypt", "KeyId="+key, "Plaintext="+plaintext); r.code() != "400 InvalidParameter" || r.at("Message") != "The specified parameter is invalid." {
			t.Errorf("%s: %.200s", name, r)
		}
	}
}

// TestBlobBeginsWithItsVersion: the first 36 bytes are the key version's id.
func TestBlobBeginsWithItsVersion(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	r := c.must(t, "Encrypt", "KeyId="+c.newKey(t), "Plaintext=aGk=")
	blob, err := base64.StdEncoding.DecodeString(r.at("CiphertextBlob"))
	if err != nil || !strings.HasPrefix(string(blob), r.at("KeyVersionId")) {
		t.Errorf("%s: %v", r, err)
	}
}

// TestTextInXML: a plaintext that XML cannot hold is refused in XML rather than changed.
func TestTextInXML(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	for plaintext, ok := range map[string]bool{"a <b> &\r\n\t 'c' \"d\" 漢": true, "a\x00": false, "\x1b[0m": false, "\ufffe": false} {
		blob := c.must(t, "Encrypt", "KeyId="+key, "Plaintext="+plaintext).at("CiphertextBlob")
		r := c.call(t, "Decrypt", "CiphertextBlob="+blob, "Format=xml")
		_, nodes := fromXML(t, r.body)
		if !ok {
			if r.status != 400 || nodes[3].Text != "InvalidParameter" {
				t.Errorf("%q: %s", plaintext, r)
			}
			continue
		}
		if nodes[2].Name != "Plaintext" || nodes[2].Text != plaintext {
			t.Errorf("%q: %s", plaintext, r)
		}
	}
}

func TestEncryptionContext(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	seal := func(context ...string) string {
		return c.must(t, "Encrypt", append([]string{"KeyId=" + key, "Plaintext=aGk="}, context...)...).at("CiphertextBlob")
	}
	none := [][]string{nil, {"EncryptionContext="}, {"EncryptionContext={}"}, {"EncryptionContext=null"}, {"EncryptionContext= { } "}}
	some := [][]string{
		{`EncryptionContext={"a":"1","b":"2"}`},
		{`EncryptionContext= { "b" : "2" , "a" : "\u0031" } `},
		{"EncryptionContext.a=1", "EncryptionContext.b=2"},
		{"EncryptionContext={}", "EncryptionContext.b=2", "EncryptionContext.a=1"},
	}
	other := [][]string{{`EncryptionContext={"a":"1"}`}, {`EncryptionContext={"a":"1","b":"2","c":""}`}, {`EncryptionContext={"a":"2","b":"1"}`}, {"EncryptionContext.A=1", "EncryptionContext.b=2"}}
	open := func(blob string, context []string) string {
		return c.call(t, "Decrypt", append([]string{"CiphertextBlob=" + blob}, context...)...).code()
	}
	for _, a := range none {
		for _, b := range none {
			if got := open(seal(a...), b); got != "200" {
				t.Errorf("%v, then %v: %s", a, b, got)
			}
		}
		if got := open(seal(a...), some[0]); got != "400 InvalidParameter" {
			t.Errorf("%v, then %v: %s", a, some[0], got)
		}
	}
	for _, a := range some {
		for _, b := range some {
			if got := open(seal(a...), b); got != "200" {
				t.Errorf("%v, then %v: %s", a, b, got)
			}
		}
		for _, b := range append(slicesOf(none[0]), other...) {
			if got := open(seal(a...), b); got != "400 InvalidParameter" {
				t.Errorf("%v, then %v: %s", a, b, got)
			}
		}
	}
}

func slicesOf(s []string) [][]string { return [][]string{s} }

// TestDecryptRefusals: whose ciphertext it is shows only as not found; what is wrong with one
// of the caller's own does not show at all.
func TestDecryptRefusals(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	blob := c.must(t, "Encrypt", "KeyId="+key, "Plaintext=aGk=").at("CiphertextBlob")
	raw, err := base64.StdEncoding.DecodeString(blob)
	if err != nil {
		t.Fatal(err)
	}
	theirKey := c.callAs(t, c.Other, "CreateKey").at("KeyMetadata.KeyId")
	theirs := c.callAs(t, c.Other, "Encrypt", "KeyId="+theirKey, "Plaintext=aGk=").at("CiphertextBlob")
	unknown := "00000000-0000-0000-0000-000000000001" + string(raw[36:])
	for name, tc := range map[string]struct{ blob, want string }{
		"another's":        {theirs, "404 Forbidden.KeyNotFound"},
		"of no version":    {b64([]byte(unknown)), "404 Forbidden.KeyNotFound"},
		"cut short":        {b64(raw[:len(raw)-1]), "400 InvalidParameter"},
		"only a header":    {b64(raw[:40]), "400 InvalidParameter"},
		"not base64":       {"***", "400 InvalidParameter"},
		"base64, unpadded": {strings.TrimRight(b64(raw[:43]), "="), "400 InvalidParameter"},
		"too long":         {b64(make([]byte, maxCiphertext+1)), "400 InvalidParameter"},
	} {
		if r := c.call(t, "Decrypt", "CiphertextBlob="+tc.blob); r.code() != tc.want {
			t.Errorf("%s: %s, want %s", name, r, tc.want)
		}
	}
	var first string
	for i := 36; i < len(raw); i += 7 {
		bad := append([]byte{}, raw...)
		bad[i] ^= 1
		r := c.call(t, "Decrypt", "CiphertextBlob="+b64(bad))
		answer := r.code() + r.at("Message")
		if first == "" {
			first = answer
		}
		if answer != first || !strings.HasPrefix(answer, "400 InvalidParameter") {
			t.Errorf("byte %d flipped: %s, another: %s", i, answer, first)
		}
	}
}

func TestGenerateDataKey(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	for params, want := range map[string]int{
		"": 32, "KeySpec=AES_256": 32, "KeySpec=AES_128": 16, "NumberOfBytes=1": 1, "NumberOfBytes=1024": 1024, "KeySpec=AES_128&NumberOfBytes=64": 64,
		"KeySpec=&NumberOfBytes=": 32, "EncryptionContext.a=b": 32,
	} {
		r := c.must(t, "GenerateDataKey", append(strings.Split(params, "&"), "KeyId="+key)...)
		if plain, err := base64.StdEncoding.DecodeString(r.at("Plaintext")); err != nil || len(plain) != want || r.at("KeyId") != key {
			t.Errorf("%s: %s", params, r)
		}
		context := "x=y"
		if strings.HasPrefix(params, "Enc") {
			context = params
		}
		if back := c.must(t, "Decrypt", "CiphertextBlob="+r.at("CiphertextBlob"), context); back.at("Plaintext") != r.at("Plaintext") {
			t.Errorf("%s: decrypts to %s", params, back)
		}
		only := c.must(t, "GenerateDataKeyWithoutPlaintext", append(strings.Split(params, "&"), "KeyId="+key)...)
		if only.has("Plaintext") {
			t.Errorf("%s: without plaintext: %s", params, only)
		}
		if back := c.must(t, "Decrypt", "CiphertextBlob="+only.at("CiphertextBlob"), context); base64.StdEncoding.DecodedLen(len(back.at("Plaintext"))) < want {
			t.Errorf("%s: without plaintext: decrypts to %s", params, back)
		}
	}
	for _, params := range []string{"KeySpec=AES_192", "KeySpec=aes_256", "NumberOfBytes=0", "NumberOfBytes=1025", "NumberOfBytes=x", "KeySpec=X&NumberOfBytes=1"} {
		if r := c.call(t, "GenerateDataKey", append(strings.Split(params, "&"), "KeyId="+key)...); r.code() != "400 InvalidParameter" {
			t.Errorf("%s: %s", params, r)
		}
	}
	for _, action := range []string{"GenerateDataKey", "Decrypt"} {
		if r := c.call(t, action, "KeyId="+key, "CiphertextBlob=aGk=", "Recipient=document"); r.code() != "400 UnsupportedOperation" {
			t.Errorf("%s for a recipient: %s", action, r)
		}
	}
}

// TestSignatures verifies with the standard library what the service signs.
func TestSignatures(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	digest := sha256.Sum256([]byte("message"))
	key := c.newKey(t, "KeySpec=RSA_2048")
	ec := c.newKey(t, "KeySpec=EC_P256")
	for _, tc := range []struct {
		key, algorithm string
		check          func(pub any, sig []byte) bool
	}{
		{key, "RSA_PSS_SHA_256", func(pub any, sig []byte) bool {
			return rsa.VerifyPSS(pub.(*rsa.PublicKey), crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: 32}) == nil
		}},
		{key, "RSA_PKCS1_SHA_256", func(pub any, sig []byte) bool {
			return rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), crypto.SHA256, digest[:], sig) == nil
		}},
		{ec, "ECDSA_SHA_256", func(pub any, sig []byte) bool { return ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), digest[:], sig) }},
	} {
		params := []string{"KeyId=" + tc.key, "KeyVersionId=" + c.oneVersion(t, tc.key), "Algorithm=" + tc.algorithm, "Digest=" + b64(digest[:])}
		value := c.must(t, "AsymmetricSign", params...).at("Value")
		sig, err := base64.StdEncoding.DecodeString(value)
		if err != nil || !tc.check(c.publicKey(t, tc.key), sig) {
			t.Errorf("%s does not verify: %v", tc.algorithm, err)
		}
		if r := c.must(t, "AsymmetricVerify", append(params, "Value="+value)...); !strings.Contains(r.body, `"Value":true`) {
			t.Errorf("%s: %s", tc.algorithm, r)
		}
		sig[len(sig)-1] ^= 1
		if r := c.must(t, "AsymmetricVerify", append(params, "Value="+b64(sig))...); !strings.Contains(r.body, `"Value":false`) {
			t.Errorf("%s, changed: %s", tc.algorithm, r)
		}
		if r := c.must(t, "AsymmetricVerify", append(params, "Value=aGk=")...); !strings.Contains(r.body, `"Value":false`) {
			t.Errorf("%s, nonsense: %s", tc.algorithm, r)
		}
	}
	k1 := c.newKey(t, "KeySpec=EC_P256K")
	params := []string{"KeyId=" + k1, "KeyVersionId=" + c.oneVersion(t, k1), "Algorithm=ECDSA_SHA_256", "Digest=" + b64(digest[:])}
	value := c.must(t, "AsymmetricSign", params...).at("Value")
	if r := c.must(t, "AsymmetricVerify", append(params, "Value="+value)...); !strings.Contains(r.body, `"Value":true`) {
		t.Errorf("secp256k1: %s", r)
	}
	if block, _ := pem.Decode([]byte(c.must(t, "GetPublicKey", params[0], params[1]).at("PublicKey"))); block == nil || block.Type != "PUBLIC KEY" {
		t.Error("secp256k1: no PEM")
	}
}

func (c *cloud) publicKey(t testing.TB, key string) any {
	t.Helper()
	r := c.must(t, "GetPublicKey", "KeyId="+key, "KeyVersionId="+c.oneVersion(t, key))
	block, rest := pem.Decode([]byte(r.at("PublicKey")))
	if block == nil || block.Type != "PUBLIC KEY" || len(rest) > 0 {
		t.Fatalf("public key: %s", r)
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// TestAsymmetricEncryption opens what the standard library encrypts, and finds the limits.
func TestAsymmetricEncryption(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t, "KeySpec=RSA_2048", "KeyUsage=ENCRYPT/DECRYPT")
	pub := c.publicKey(t, key).(*rsa.PublicKey)
	head := []string{"KeyId=" + key, "KeyVersionId=" + c.oneVersion(t, key)}
	for algorithm, most := range map[string]int{"RSAES_OAEP_SHA_256": 190, "RSAES_OAEP_SHA_1": 214} {
		hash := sha256.New()
		if most == 214 {
			hash = sha1.New()
		}
		theirs, err := rsa.EncryptOAEP(hash, rand.Reader, pub, []byte("hi"), nil)
		if err != nil {
			t.Fatal(err)
		}
		params := append(head[:2:2], "Algorithm="+algorithm)
		if r := c.must(t, "AsymmetricDecrypt", append(params, "CiphertextBlob="+b64(theirs))...); r.at("Plaintext") != "aGk=" || r.at("KeyId") != key {
			t.Errorf("%s: %s", algorithm, r)
		}
		longest := b64(make([]byte, most))
		ours := c.must(t, "AsymmetricEncrypt", append(params, "Plaintext="+longest)...).at("CiphertextBlob")
		if r := c.must(t, "AsymmetricDecrypt", append(params, "CiphertextBlob="+ours)...); r.at("Plaintext") != longest {
			t.Errorf("%s, longest: %s", algorithm, r)
		}
		for name, bad := range map[string]string{
			"too long": b64(make([]byte, most+1)), "text": "plaintext",
		} {
			if r := c.call(t, "AsymmetricEncrypt", append(params, "Plaintext="+bad)...); r.code() != "400 InvalidParameter" {
				t.Errorf("%s, %s: %s", algorithm, name, r)
			}
		}
		theirs[5] ^= 1
		if r := c.call(t, "AsymmetricDecrypt", append(params, "CiphertextBlob="+b64(theirs))...); r.code() != "400 InvalidParameter" {
			t.Errorf("%s, changed: %s", algorithm, r)
		}
	}
}

// TestWrongUse asks keys for what they are not for.
func TestWrongUse(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	aes, ec := c.newKey(t), c.newKey(t, "KeySpec=EC_P256")
	sign, encrypt := c.newKey(t, "KeySpec=RSA_2048"), c.newKey(t, "KeySpec=RSA_2048", "KeyUsage=ENCRYPT/DECRYPT")
	version := func(key string) string { return "KeyVersionId=" + c.oneVersion(t, key) }
	for _, tc := range []struct{ action, key, params, want string }{
		{"Encrypt", ec, "Plaintext=aGk=", "400 UnsupportedOperation"},
		{"Encrypt", encrypt, "Plaintext=aGk=", "400 UnsupportedOperation"},
		{"GenerateDataKey", encrypt, "", "400 UnsupportedOperation"},
		{"GenerateDataKeyWithoutPlaintext", ec, "", "400 UnsupportedOperation"},
		{"AsymmetricEncrypt", aes, "Algorithm=RSAES_OAEP_SHA_256 Plaintext=aGk=", "400 Rejected.UnsupportedOperation"},
		{"AsymmetricEncrypt", ec, "Algorithm=RSAES_OAEP_SHA_256 Plaintext=aGk=", "400 Rejected.UnsupportedOperation"},
		{"AsymmetricEncrypt", sign, "Algorithm=RSAES_OAEP_SHA_256 Plaintext=aGk=", "400 Rejected.UnsupportedOperation"},
		{"AsymmetricEncrypt", encrypt, "Algorithm=SM2PKE Plaintext=aGk=", "400 Rejected.UnsupportedOperation"},
		{"AsymmetricEncrypt", encrypt, "Algorithm=RSA_OAEP_SHA_256 Plaintext=aGk=", "400 InvalidParameter"},
		{"AsymmetricDecrypt", sign, "Algorithm=RSAES_OAEP_SHA_256 CiphertextBlob=aGk=", "400 Rejected.UnsupportedOperation"},
		{"AsymmetricSign", aes, "Algorithm=ECDSA_SHA_256 Digest=$digest", "400 InvalidParameter"},
		{"AsymmetricSign", ec, "Algorithm=RSA_PSS_SHA_256 Digest=$digest", "400 InvalidParameter"},
		{"AsymmetricSign", ec, "Algorithm=ECDSA_SHA_384 Digest=$digest", "400 InvalidParameter"},
		{"AsymmetricSign", ec, "Algorithm=SM2DSA Digest=$digest", "400 InvalidParameter"},
		{"AsymmetricSign", ec, "Algorithm=ECDSA_SHA_256 Digest=aGk=", "400 InvalidParameter"},
		{"AsymmetricSign", encrypt, "Algorithm=RSA_PSS_SHA_256 Digest=$digest", "400 InvalidParameter"},
		{"AsymmetricVerify", encrypt, "Algorithm=RSA_PSS_SHA_256 Digest=$digest Value=aGk=", "400 InvalidParameter"},
		{"GetPublicKey", aes, "", "400 InvalidParameter"},
	} {
		params := strings.Fields(strings.ReplaceAll(tc.params, "$digest", aDigest))
		if strings.HasPrefix(tc.action, "Asym") || tc.action == "GetPublicKey" {
			params = append(params, version(tc.key))
		}
		if r := c.call(t, tc.action, append(params, "KeyId="+tc.key)...); r.code() != tc.want {
			t.Errorf("%s %s: %s, want %s", tc.action, tc.params, r, tc.want)
		}
	}
}

// TestKeyForBothUses: an RSA key of another cloud shows as one usage and works for both.
func TestKeyForBothUses(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.otherKey(t, keys.RSA2048, keys.UsageEncrypt|keys.UsageSign)
	if got := c.must(t, "DescribeKey", "KeyId="+key).at("KeyMetadata.KeyUsage"); got != usageEncrypt {
		t.Errorf("usage %s", got)
	}
	version := "KeyVersionId=" + c.oneVersion(t, key)
	c.must(t, "AsymmetricSign", "KeyId="+key, version, "Algorithm=RSA_PSS_SHA_256", "Digest="+aDigest)
	c.must(t, "AsymmetricEncrypt", "KeyId="+key, version, "Algorithm=RSAES_OAEP_SHA_256", "Plaintext=aGk=")
}

// TestDryRun: every operation that takes DryRun says how it would have ended, and nothing else.
func TestDryRun(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	s := newStage(t, c)
	tried := 0
	for _, row := range stateTable {
		params := s.params(t, &row, "", "")
		if row.disabled != isDisabled || row.operation == "CreateKeyVersion" || row.operation == "UpdateRotationPolicy" {
			continue // no such parameter
		}
		tried++
		if r := c.call(t, row.operation, append(params, "DryRun=true")...); r.code() != "400 DryRunOperationError" {
			t.Errorf("%s: %s", row.operation, r)
		}
		if r := c.call(t, row.operation, "DryRun=true"); r.code() != "400 ValidationError" {
			t.Errorf("%s, nothing given: %s", row.operation, r)
		}
		if r := c.call(t, row.operation, append(params, "DryRun=false")...); r.code() != "200" {
			t.Errorf("%s, not dry: %s", row.operation, r)
		}
		if r := c.call(t, row.operation, append(params, "DryRun=maybe")...); r.code() != "400 InvalidParameter" {
			t.Errorf("%s, perhaps dry: %s", row.operation, r)
		}
	}
	if tried != 14 {
		t.Errorf("%d operations take DryRun", tried)
	}
	for _, e := range c.Audit.Events() {
		if e.Outcome == "ok" && e.Context["DryRun"] == "true" && e.Operation == "DescribeKey" {
			t.Errorf("%+v", e)
		}
	}
}

// countedStore counts the transactions that the service asks for.
type countedStore struct {
	store.Store
	asked *atomic.Int64
}

func (s countedStore) View(ctx context.Context, fn func(store.Tx) error) error {
	s.asked.Add(1)
	return s.Store.View(ctx, fn)
}

func (s countedStore) Update(ctx context.Context, fn func(store.Tx) error) (int64, error) {
	s.asked.Add(1)
	return s.Store.Update(ctx, fn)
}

// TestWarmDataCallsAskNoDatabase: once a key was used by a name, its use by that name stays in memory.
func TestWarmDataCallsAskNoDatabase(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	c := newCloud(t, kmstest.With(func(cfg *kms.Config) { cfg.Store = countedStore{cfg.Store, &asked} }))
	aes, ec := c.newKey(t), c.newKey(t, "KeySpec=EC_P256")
	c.must(t, "CreateAlias", "KeyId="+aes, "AliasName=alias/app")
	version := "KeyVersionId=" + c.oneVersion(t, ec)
	blob := c.must(t, "Encrypt", "KeyId="+aes, "Plaintext=aGk=").at("CiphertextBlob")
	for _, call := range [][]string{
		{"Encrypt", "KeyId=" + aes, "Plaintext=aGk="},
		{"Encrypt", "KeyId=alias/app", "Plaintext=aGk="},
		{"Encrypt", "KeyId=" + KeyARN(testRegion, "1234567890123456", mustID(t, aes)), "Plaintext=aGk="},
		{"Decrypt", "CiphertextBlob=" + blob},
		{"GenerateDataKey", "KeyId=" + aes},
		{"AsymmetricSign", "KeyId=" + ec, version, "Algorithm=ECDSA_SHA_256", "Digest=" + aDigest},
		{"GetPublicKey", "KeyId=" + ec, version},
	} {
		c.must(t, call[0], call[1:]...)
		before := asked.Load()
		c.must(t, call[0], call[1:]...)
		if n := asked.Load() - before; n != 0 {
			t.Errorf("%v asks the database %d times", call, n)
		}
	}
}
