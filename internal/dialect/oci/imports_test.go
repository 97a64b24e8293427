// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"claviger/internal/engine"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/secret"
)

// wrappingKey asks for the public wrapping key of a tenant's default vault.
func (r *rig) wrappingKey(t testing.TB, tenant kmstest.Tenant) *rsa.PublicKey {
	t.Helper()
	k := r.call(t, tenant, "GET", r.vault(tenant)+"/20180608/wrappingKeys", nil).object(t)
	return parsePublicPEM(t, fmt.Sprint(k["publicKey"]))
}

func parsePublicPEM(t testing.TB, text string) *rsa.PublicKey {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(rest) != 0 {
		t.Fatalf("%q is not one PEM block", text)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PublicKey)
}

func publicPEM(t testing.TB, key *rsa.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func wrapOAEP(t testing.TB, key *rsa.PublicKey, material []byte) []byte {
	t.Helper()
	b, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key, material, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// importBody is ImportKeyDetails.
func (r *rig) importBody(algorithm string, length int, wrapping string, blob []byte) map[string]any {
	return map[string]any{
		"compartmentId": r.Tenant.Names[Name], "displayName": "brought along", "protectionMode": "SOFTWARE",
		"keyShape":         map[string]any{"algorithm": algorithm, "length": length},
		"wrappedImportKey": map[string]any{"wrappingAlgorithm": wrapping, "keyMaterial": base64.StdEncoding.EncodeToString(blob)},
	}
}

func (r *rig) post(t testing.TB, path string, body any, header ...string) reply {
	t.Helper()
	return r.call(t, r.Tenant, "POST", r.vault(r.Tenant)+"/20180608/"+path, body, header...)
}

func (r *rig) get(t testing.TB, path string) reply {
	t.Helper()
	return r.call(t, r.Tenant, "GET", r.vault(r.Tenant)+"/20180608/"+path, nil)
}

// TestWrappingKey reads a vault's wrapping key in every way that there is, and finds it nowhere else.
func TestWrappingKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	n := r.dialect.Namer()
	vault := n.VaultName(&keys.Vault{ID: r.Tenant.Vault, Region: kmstest.Region})
	announced := fmt.Sprint(r.call(t, r.Tenant, "GET", r.region.URL+"/20180608/vaults/"+vault, nil).object(t)["wrappingkeyId"])
	byID := r.get(t, "keys/"+announced).object(t) // before anybody asked for it otherwise
	answer := r.get(t, "wrappingKeys")
	k := answer.object(t)
	if k["id"] != announced || k["vaultId"] != vault || k["compartmentId"] != r.Tenant.Names[Name] || k["lifecycleState"] != "ENABLED" || k["timeCreated"] != byID["timeCreated"] || len(k) != 6 {
		t.Errorf("the wrapping key is %v", k)
	}
	if answer.header.Get("Etag") == "" || answer.header.Get("X-Claviger-Protection") != "software" {
		t.Errorf("headers %v", answer.header)
	}
	text := fmt.Sprint(k["publicKey"])
	if !regexp.MustCompile("^-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/]{64}\r\n){11}[A-Za-z0-9+/=]+\r\n-----END PUBLIC KEY-----\n$").MatchString(text) {
		t.Errorf("the public key is %q", text)
	}
	if bits := parsePublicPEM(t, text).N.BitLen(); bits != 4096 {
		t.Errorf("it has %d bits", bits)
	}
	if fmt.Sprint(byID["displayName"], byID["keyShape"], byID["protectionMode"], byID["lifecycleState"]) != "RSA wrapping keymap[algorithm:RSA curveId:<nil> length:512]HSM"+"ENABLED" {
		t.Errorf("by its id it is %v", byID)
	}
	version := r.get(t, "keys/"+announced+"/keyVersions/"+fmt.Sprint(byID["currentKeyVersion"])).object(t)
	if !parsePublicPEM(t, fmt.Sprint(version["publicKey"])).Equal(parsePublicPEM(t, text)) || version["origin"] != "INTERNAL" {
		t.Errorf("its version is %v", version)
	}
	if list := r.get(t, "keys?compartmentId="+r.Tenant.Names[Name]); string(list.body) != "[]" {
		t.Errorf("the list of keys is %s", list.body)
	}
	if got := r.call(t, r.Other, "GET", r.vault(r.Other)+"/20180608/keys/"+announced, nil).refusal(t); got != "404 NotAuthorizedOrNotFound" {
		t.Errorf("at another vault: %s", got)
	}
	for path, body := range map[string]any{
		"keys/" + announced + "/actions/disable": nil, "keys/" + announced + "/actions/scheduleDeletion": nil, "keys/" + announced + "/keyVersions": nil,
		"keys/" + announced + "/actions/changeCompartment": map[string]any{"compartmentId": r.Tenant.Names[Name]},
		"encrypt":   map[string]any{"keyId": announced, "plaintext": "AAAA", "encryptionAlgorithm": "RSA_OAEP_SHA_256"},
		"decrypt":   map[string]any{"keyId": announced, "ciphertext": base64.StdEncoding.EncodeToString(make([]byte, 512)), "encryptionAlgorithm": "RSA_OAEP_SHA_256"},
		"sign":      map[string]any{"keyId": announced, "message": "AAAA", "signingAlgorithm": "SHA_256_RSA_PKCS_PSS"},
		"exportKey": map[string]any{"keyId": announced, "algorithm": "RSA_OAEP_AES_SHA256", "publicKey": publicPEM(t, &r.Tenant.RSAKey.PublicKey)},
	} {
		if got := r.post(t, path, body); got.refusal(t) != "400 InvalidParameter" || !strings.Contains(got.hint(), "wrapping key") {
			t.Errorf("%s: %d %s, hint %q", path, got.status, got.body, got.hint())
		}
	}
	if got := r.call(t, r.Tenant, "PUT", r.vault(r.Tenant)+"/20180608/keys/"+announced, map[string]any{"displayName": "mine"}); got.refusal(t) != "400 InvalidParameter" {
		t.Errorf("renaming it: %d %s", got.status, got.body)
	}
}

// TestImportAndUse imports an AES key and an RSA key, and uses them against what was imported.
func TestImportAndUse(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	wrapping := r.wrappingKey(t, r.Tenant)
	material := bytes.Repeat([]byte{0xa5}, 32)
	body := r.importBody("AES", 32, "RSA_OAEP_SHA256", wrapOAEP(t, wrapping, material))
	answer := r.post(t, "keys/import", body, "Opc-Retry-Token", "once")
	k := answer.object(t)
	if k["displayName"] != "brought along" || k["lifecycleState"] != "ENABLED" || k["protectionMode"] != "SOFTWARE" || answer.header.Get("Etag") == "" {
		t.Errorf("imported: %v", k)
	}
	if again := r.post(t, "keys/import", body, "Opc-Retry-Token", "once").object(t); again["id"] != k["id"] {
		t.Errorf("a repeated retry token made %v", again["id"])
	}
	first := fmt.Sprint(k["currentKeyVersion"])
	if v := r.get(t, fmt.Sprintf("keys/%s/keyVersions/%s", k["id"], first)).object(t); v["origin"] != "EXTERNAL" || v["publicKey"] != nil {
		t.Errorf("its version is %v", v)
	}
	sealed := r.post(t, "encrypt", map[string]any{"keyId": k["id"], "plaintext": "SEVMTE8="}).object(t)
	made := r.post(t, fmt.Sprintf("keys/%s/keyVersions", k["id"]), nil).object(t)
	brought := r.post(t, fmt.Sprintf("keys/%s/keyVersions/import", k["id"]), map[string]any{"wrappedImportKey": body["wrappedImportKey"], "freeformTags": map[string]any{}}).object(t)
	if made["origin"] != "INTERNAL" || brought["origin"] != "EXTERNAL" {
		t.Errorf("origins of further versions: %v, %v", made["origin"], brought["origin"])
	}
	if now := r.get(t, "keys/"+fmt.Sprint(k["id"])).object(t); now["currentKeyVersion"] != brought["id"] {
		t.Errorf("the current version is %v, want the one just imported", now["currentKeyVersion"])
	}
	if opened := r.post(t, "decrypt", map[string]any{"keyId": k["id"], "ciphertext": sealed["ciphertext"]}).object(t); opened["plaintext"] != "SEVMTE8=" || opened["keyVersionId"] != first {
		t.Errorf("old ciphertext: %v", opened)
	}
	own := r.newKey(t, r.Tenant, "AES", 32)
	if v := r.post(t, fmt.Sprintf("keys/%s/keyVersions/import", own["id"]), map[string]any{"wrappedImportKey": body["wrappedImportKey"]}).object(t); v["origin"] != "EXTERNAL" {
		t.Errorf("a version imported into a key made here: %v", v)
	}
}

// TestMalformedMaterialIsOneAnswer sends wrapped material that is wrong in every way. The bodies
// and the hints are the same to the byte.
func TestMalformedMaterialIsOneAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	wrapping := r.wrappingKey(t, r.Tenant)
	material := make([]byte, 32)
	good := wrapOAEP(t, wrapping, material)
	flipped := bytes.Clone(good)
	flipped[100] ^= 1
	der, err := x509.MarshalPKCS8PrivateKey(r.Tenant.RSAKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1, err := rsa.EncryptPKCS1v15(rand.Reader, wrapping, material) //nolint:staticcheck // SA1019: it is to be refused
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		algorithm string
		length    int
		wrapping  string
		blob      []byte
	}
	var body, hint string
	for what, in := range map[string]row{
		"nothing":                 {"AES", 32, "RSA_OAEP_SHA256", nil},
		"zeros":                   {"AES", 32, "RSA_OAEP_SHA256", make([]byte, 512)},
		"a bit changed":           {"AES", 32, "RSA_OAEP_SHA256", flipped},
		"cut short":               {"AES", 32, "RSA_OAEP_SHA256", good[:511]},
		"too long":                {"AES", 32, "RSA_OAEP_SHA256", append(bytes.Clone(good), 0)},
		"another key's":           {"AES", 32, "RSA_OAEP_SHA256", wrapOAEP(t, &r.Tenant.RSAKey.PublicKey, material)},
		"another padding":         {"AES", 32, "RSA_OAEP_SHA256", pkcs1},
		"another length":          {"AES", 16, "RSA_OAEP_SHA256", good},
		"a longer key":            {"AES", 24, "RSA_OAEP_SHA256", good},
		"the other algorithm":     {"AES", 32, "RSA_OAEP_AES_SHA256", good},
		"garbage behind":          {"AES", 32, "RSA_OAEP_AES_SHA256", append(bytes.Clone(good), make([]byte, 40)...)},
		"no second part":          {"RSA", 256, "RSA_OAEP_AES_SHA256", good},
		"AES where RSA should be": {"RSA", 256, "RSA_OAEP_AES_SHA256", wrapKWP(t, wrapping, material)},
		"RSA where AES should be": {"AES", 32, "RSA_OAEP_AES_SHA256", wrapKWP(t, wrapping, der)},
		"RSA of another length":   {"RSA", 384, "RSA_OAEP_AES_SHA256", wrapKWP(t, wrapping, der)},
		"a byte after the key":    {"RSA", 256, "RSA_OAEP_AES_SHA256", wrapKWP(t, wrapping, append(bytes.Clone(der), 0))},
		"PKCS #1":                 {"RSA", 256, "RSA_OAEP_AES_SHA256", wrapKWP(t, wrapping, x509.MarshalPKCS1PrivateKey(r.Tenant.RSAKey))},
	} {
		got := r.post(t, "keys/import", r.importBody(in.algorithm, in.length, in.wrapping, in.blob))
		if got.refusal(t) != "400 InvalidParameter" {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
		if body == "" {
			body, hint = string(got.body), got.hint()
		}
		if string(got.body) != body || got.hint() != hint {
			t.Errorf("%s answers\n%s (%s)\nwhere others answer\n%s (%s)", what, got.body, got.hint(), body, hint)
		}
	}
	if list := r.get(t, "keys?compartmentId="+r.Tenant.Names[Name]); string(list.body) != "[]" {
		t.Errorf("refused imports made %s", list.body)
	}
	ok := r.importBody("RSA", 256, "RSA_OAEP_AES_SHA256", wrapKWP(t, wrapping, der))
	k := r.post(t, "keys/import", ok).object(t)
	sig := r.post(t, "sign", map[string]any{"keyId": k["id"], "message": "AAAA", "signingAlgorithm": "SHA_256_RSA_PKCS1_V1_5"}).object(t)
	raw, err := base64.StdEncoding.DecodeString(fmt.Sprint(sig["signature"]))
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte{0, 0, 0})
	if err := rsa.VerifyPKCS1v15(&r.Tenant.RSAKey.PublicKey, crypto.SHA256, digest[:], raw); err != nil {
		t.Errorf("the signature of an imported key: %v", err)
	}
}

// wrapKWP wraps material of any length, by the engine, which is compared with OpenSSL elsewhere.
func wrapKWP(t testing.TB, wrapping *rsa.PublicKey, material []byte) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(wrapping)
	if err != nil {
		t.Fatal(err)
	}
	p, err := engine.Recipient(der)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Wrap(rand.Reader, keys.WrapOAEPAES, secret.Copy(material))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWhatImportsRefuse changes a good import in one point each.
func TestWhatImportsRefuse(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	blob := wrapOAEP(t, r.wrappingKey(t, r.Tenant), make([]byte, 32))
	for what, c := range map[string]struct {
		change func(map[string]any)
		want   string
		says   string
	}{
		"EXTERNAL":                    {func(b map[string]any) { b["protectionMode"] = "EXTERNAL" }, "400 InvalidParameter", "protectionMode"},
		"ECDSA":                       {func(b map[string]any) { b["keyShape"] = map[string]any{"algorithm": "ECDSA", "length": 32} }, "400 InvalidParameter", "keyShape"},
		"RSA in a wrapping too small": {func(b map[string]any) { b["keyShape"] = map[string]any{"algorithm": "RSA", "length": 256} }, "400 InvalidParameter", "wrappedImportKey.wrappingAlgorithm"},
		"no material":                 {func(b map[string]any) { delete(b, "wrappedImportKey") }, "400 MissingParameter", "wrappedImportKey"},
		"another compartment":         {func(b map[string]any) { b["compartmentId"] = "ocid1.compartment.oc1..nowhere" }, "400 RelatedResourceNotAuthorizedOrNotFound", ""},
		"too many tags": {func(b map[string]any) {
			tags := map[string]any{}
			for i := range 11 {
				tags[fmt.Sprint("t", i)] = ""
			}
			b["freeformTags"] = tags
		}, "400 InvalidParameter", "freeformTags"},
	} {
		body := r.importBody("AES", 32, "RSA_OAEP_SHA256", blob)
		c.change(body)
		got := r.post(t, "keys/import", body)
		if got.refusal(t) != c.want || !strings.Contains(got.message(t), c.says) {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	key := fmt.Sprint(r.newKey(t, r.Tenant, "AES", 32)["id"])
	path := "keys/" + key + "/keyVersions/import"
	wrapped := r.importBody("AES", 32, "RSA_OAEP_SHA256", blob)["wrappedImportKey"]
	for field, tags := range map[string]any{"freeformTags": map[string]any{"a": "b"}, "definedTags": map[string]any{"n": map[string]any{"a": "b"}}} {
		if got := r.post(t, path, map[string]any{"wrappedImportKey": wrapped, field: tags}); got.refusal(t) != "400 InvalidParameter" || !strings.Contains(got.message(t), field) {
			t.Errorf("tags of a version: %d %s", got.status, got.body)
		}
	}
	short := wrapOAEP(t, r.wrappingKey(t, r.Tenant), make([]byte, 16))
	if got := r.post(t, path, map[string]any{"wrappedImportKey": map[string]any{"wrappingAlgorithm": "RSA_OAEP_SHA256", "keyMaterial": base64.StdEncoding.EncodeToString(short)}}); got.refusal(t) != "400 InvalidParameter" {
		t.Errorf("a version of another length: %d %s", got.status, got.body)
	}
	r.post(t, "keys/"+key+"/actions/disable", nil).object(t)
	if got := r.post(t, path, map[string]any{"wrappedImportKey": wrapped}).refusal(t); got != "409 Conflict" {
		t.Errorf("a version of a disabled key: %s", got)
	}
	// Rotation is honoured: the key is rotated by the clock into versions made here.
	body := r.importBody("AES", 32, "RSA_OAEP_SHA256", blob)
	body["isAutoRotationEnabled"], body["autoKeyRotationDetails"] = true, map[string]any{"rotationIntervalInDays": 60}
	rotated := r.post(t, "keys/import", body).object(t)
	r.Clock.Add(61 * keys.Day)
	if _, err := r.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := r.get(t, "keys/"+fmt.Sprint(rotated["id"])).object(t)
	v := r.get(t, fmt.Sprintf("keys/%s/keyVersions/%s", now["id"], now["currentKeyVersion"])).object(t)
	if v["origin"] != "INTERNAL" || v["isAutoRotated"] != true {
		t.Errorf("the version that the clock made is %v", v)
	}
}

// TestExport exports under every form of a public key, and refuses what is not to leave.
func TestExport(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	material := bytes.Repeat([]byte{0x5a}, 32)
	k := r.post(t, "keys/import", r.importBody("AES", 32, "RSA_OAEP_SHA256", wrapOAEP(t, r.wrappingKey(t, r.Tenant), material))).object(t)
	public := publicPEM(t, &r.Tenant.RSAKey.PublicKey)
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&r.Tenant.RSAKey.PublicKey)}))
	export := func(change func(map[string]any)) reply {
		body := map[string]any{"keyId": k["id"], "algorithm": "RSA_OAEP_SHA256", "publicKey": public, "loggingContext": map[string]any{"why": "moving"}}
		if change != nil {
			change(body)
		}
		return r.post(t, "exportKey", body)
	}
	open := func(what string, answer reply) {
		t.Helper()
		out := answer.object(t)
		wrapped, err := base64.StdEncoding.DecodeString(fmt.Sprint(out["encryptedKey"]))
		if err != nil {
			t.Fatal(err)
		}
		got, err := rsa.DecryptOAEP(sha256.New(), nil, r.Tenant.RSAKey, wrapped, nil)
		if err != nil || !bytes.Equal(got, material) {
			t.Errorf("%s: %v", what, err)
		}
		version := r.get(t, fmt.Sprintf("keys/%s/keyVersions/%s", k["id"], k["currentKeyVersion"])).object(t)
		if out["keyId"] != k["id"] || out["keyVersionId"] != version["id"] || out["vaultId"] != k["vaultId"] || out["timeCreated"] != version["timeCreated"] || out["algorithm"] != "RSA_OAEP_SHA256" || len(out) != 6 {
			t.Errorf("%s: %v", what, out)
		}
	}
	for what, text := range map[string]string{
		"as it is": public, "on one line": strings.ReplaceAll(public, "\n", ""), "with blanks": strings.ReplaceAll(public, "\n", " "),
		"with CR LF": strings.ReplaceAll(public, "\n", "\r\n"), `with \n`: strings.ReplaceAll(public, "\n", `\n`), "indented": "  " + strings.ReplaceAll(public, "\n", "\n  "),
		"without its last line end": strings.TrimSpace(public), "PKCS #1": pkcs1,
	} {
		open(what, export(func(b map[string]any) { b["publicKey"] = text }))
	}
	exported := 0
	for _, e := range r.Audit.Events() {
		if e.Action == keys.ExportKey {
			exported++
			if e.Context["why"] != "moving" || e.Version.IsZero() {
				t.Errorf("recorded: %+v", e)
			}
		}
	}
	if exported != 8 {
		t.Errorf("%d exports are recorded, want 8", exported)
	}
	both := publicPEM(t, &r.Tenant.RSAKey.PublicKey) + public
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"two keys": both, "a private key": strings.ReplaceAll(public, "PUBLIC", "PRIVATE"), "no key": "x", "other marks": strings.Replace(public, "END PUBLIC", "END RSA PUBLIC", 1),
		"text before it": "x" + public, "bad base64": strings.Replace(public, "MII", "!!!", 1), "an RSA-1024 key": publicPEM(t, &small.PublicKey),
	} {
		got := export(func(b map[string]any) { b["publicKey"] = text })
		if got.refusal(t) != "400 InvalidParameter" || !strings.HasSuffix(got.message(t), ": publicKey") {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	hsm := r.systemKey(t, kms.NewKey{Spec: keys.AES256, Usages: keys.UsageEncrypt, Origin: keys.Generated, Protection: keys.HSM})
	got := export(func(b map[string]any) { b["keyId"] = r.dialect.Namer().KeyName(&hsm.Key) })
	if got.refusal(t) != "400 InvalidParameter" || !strings.HasSuffix(got.message(t), ": keyId") || !strings.Contains(got.hint(), "HSM") {
		t.Errorf("an HSM key: %d %s %s", got.status, got.body, got.hint())
	}
	rsaKey := r.newKey(t, r.Tenant, "RSA", 256)
	got = export(func(b map[string]any) { b["keyId"] = rsaKey["id"] })
	if got.refusal(t) != "400 InvalidParameter" || !strings.HasSuffix(got.message(t), ": algorithm") {
		t.Errorf("an RSA key as a whole: %d %s", got.status, got.body)
	}
	r.post(t, fmt.Sprintf("keys/%s/keyVersions", k["id"]), nil).object(t)
	open("an older version", export(func(b map[string]any) { b["keyVersionId"] = k["currentKeyVersion"] }))
	r.post(t, fmt.Sprintf("keys/%s/actions/disable", k["id"]), nil).object(t)
	if got := export(nil).refusal(t); got != "409 Conflict" {
		t.Errorf("a disabled key: %s", got)
	}
}

// TestExportIsForAdministrators asks as every other role.
func TestExportIsForAdministrators(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	key := fmt.Sprint(r.newKey(t, r.Tenant, "AES", 32)["id"])
	body := map[string]any{"keyId": key, "algorithm": "RSA_OAEP_SHA256", "publicKey": publicPEM(t, &r.Tenant.RSAKey.PublicKey)}
	for _, role := range identity.Roles() {
		if err := r.SetRole(t.Context(), r.System("test"), r.Tenant.Principal, role, keys.ID{}); err != nil {
			t.Fatal(err)
		}
		got := r.post(t, "exportKey", body)
		if role == identity.Admin {
			got.object(t)
		} else if got.refusal(t) != "404 NotAuthorizedOrNotFound" {
			t.Errorf("%s: %d %s", role, got.status, got.body)
		}
	}
}

// TestWaitingKeyShowsAsDisabled looks through OCI at a key that waits for its material.
func TestWaitingKeyShowsAsDisabled(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	k := r.systemKey(t, kms.NewKey{Spec: keys.AES256, Usages: keys.UsageEncrypt, Origin: keys.Imported, Protection: keys.Software})
	name := r.dialect.Namer().KeyName(&k.Key)
	shown := r.get(t, "keys/"+name).object(t)
	if shown["lifecycleState"] != "DISABLED" || shown["currentKeyVersion"] != nil {
		t.Errorf("it shows as %v", shown)
	}
	for path, body := range map[string]any{"keys/" + name + "/actions/enable": nil, "keys/" + name + "/keyVersions": nil, "encrypt": map[string]any{"keyId": name, "plaintext": "AAAA"}} {
		if got := r.post(t, path, body).refusal(t); got != "409 Conflict" {
			t.Errorf("%s: %s", path, got)
		}
	}
	r.post(t, "keys/"+name+"/actions/scheduleDeletion", nil).object(t)
	r.Clock.Add(time.Second)
	if got := r.post(t, "keys/"+name+"/actions/cancelDeletion", nil).object(t); got["lifecycleState"] != "DISABLED" {
		t.Errorf("after cancelling its deletion it is %v", got["lifecycleState"])
	}
}

// FuzzPublicKeyDER reads anything as a public key: what is read is base64 between two marks.
func FuzzPublicKeyDER(f *testing.F) {
	f.Add("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
	f.Add("-----BEGIN PUBLIC KEY-----AA AA-----END PUBLIC KEY-----")
	f.Add(`-----BEGIN RSA PUBLIC KEY-----\nMAYCAQECAQM=\n-----END RSA PUBLIC KEY-----`)
	f.Add("-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----")
	f.Add("-----BEGIN -----")
	f.Fuzz(func(t *testing.T, text string) {
		der, ok := publicKeyDER(text)
		if !ok {
			return
		}
		if again, ok := publicKeyDER(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))); !ok || !bytes.Equal(again, der) {
			t.Fatalf("%q is read as %x, and that as %x", text, der, again)
		}
	})
}
