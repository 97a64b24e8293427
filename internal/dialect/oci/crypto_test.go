// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
	"testing"

	"claviger/internal/keys"
)

func (r *rig) crypto(t testing.TB, operation string, body any) reply {
	t.Helper()
	return r.call(t, r.Tenant, "POST", r.vault(r.Tenant)+"/20180608/"+operation, body)
}

func std(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func TestEveryShapeIsCreatedAndUsed(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, sh := range shapes {
		if testing.Short() && sh.length > 256 && sh.algorithm == "RSA" {
			continue // slow to make
		}
		k := r.newKey(t, r.Tenant, sh.algorithm, sh.length)
		got, ok := k["keyShape"].(map[string]any)
		if !ok || got["algorithm"] != sh.algorithm || got["length"] != float64(sh.length) || got["curveId"] != any(textValue(sh.curve)) {
			t.Errorf("%s: shape %v", sh.spec, k["keyShape"])
		}
		algorithms := map[string][]string{
			"AES": {"", "AES_256_GCM"}, "RSA": {"RSA_OAEP_SHA_1", "RSA_OAEP_SHA_256"},
		}[sh.algorithm]
		for _, alg := range algorithms {
			body := map[string]any{"keyId": k["id"], "plaintext": std([]byte("HELLO WORLD"))}
			if alg != "" {
				body["encryptionAlgorithm"] = alg
			}
			sealed := r.crypto(t, "encrypt", body).object(t)
			delete(body, "plaintext")
			body["ciphertext"] = sealed["ciphertext"]
			if got := r.crypto(t, "decrypt", body).object(t); got["plaintext"] != std([]byte("HELLO WORLD")) || got["plaintextChecksum"] != "2279966299" {
				t.Errorf("%s %s: %v", sh.spec, alg, got)
			}
		}
		for _, alg := range signingAlgorithms {
			r.signAndVerify(t, sh, k, alg)
		}
	}
}

func textValue(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// signAndVerify signs with an algorithm that fits the key, or sees it refused.
func (r *rig) signAndVerify(t *testing.T, sh shape, k map[string]any, alg named[signing]) {
	t.Helper()
	message := []byte("a message")
	h := alg.value.hash.New()
	h.Write(message)
	for messageType, text := range map[string][]byte{"RAW": message, "DIGEST": h.Sum(nil)} {
		body := map[string]any{"keyId": k["id"], "message": std(text), "messageType": messageType, "signingAlgorithm": alg.name}
		res := r.crypto(t, "sign", body)
		if fits := strings.Contains(alg.name, sh.algorithm) && sh.algorithm != "AES"; !fits {
			if got := res.refusal(t); got != "400 InvalidParameter" {
				t.Errorf("%s %s: %s", sh.spec, alg.name, got)
			}
			continue
		}
		signed := res.object(t)
		if signed["keyVersionId"] != k["currentKeyVersion"] || signed["keyId"] != k["id"] || signed["signingAlgorithm"] != alg.name {
			t.Errorf("%s %s: %v", sh.spec, alg.name, signed)
		}
		// What is signed as a message verifies as its digest and the other way around.
		for otherType, other := range map[string][]byte{"RAW": message, "DIGEST": h.Sum(nil)} {
			got := r.crypto(t, "verify", map[string]any{
				"keyId": k["id"], "keyVersionId": signed["keyVersionId"], "message": std(other), "messageType": otherType,
				"signature": signed["signature"], "signingAlgorithm": alg.name,
			}).object(t)
			if got["isSignatureValid"] != true {
				t.Errorf("%s %s: %s verified as %s: %v", sh.spec, alg.name, messageType, otherType, got)
			}
		}
	}
}

// The public key that a version shows verifies signatures with nothing of ours.
func TestSignaturesVerifyWithThePublicKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	digest := sha256.Sum256([]byte("a message"))
	for _, tc := range []struct {
		algorithm string
		length    int
		signing   string
		verify    func(pub any, sig []byte) bool
	}{
		{"RSA", 256, "SHA_256_RSA_PKCS1_V1_5", func(pub any, sig []byte) bool {
			p, ok := pub.(*rsa.PublicKey)
			return ok && rsa.VerifyPKCS1v15(p, crypto.SHA256, digest[:], sig) == nil
		}},
		{"RSA", 256, "SHA_256_RSA_PKCS_PSS", func(pub any, sig []byte) bool {
			p, ok := pub.(*rsa.PublicKey)
			return ok && rsa.VerifyPSS(p, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}},
		{"ECDSA", 32, "ECDSA_SHA_256", func(pub any, sig []byte) bool {
			p, ok := pub.(*ecdsa.PublicKey)
			return ok && ecdsa.VerifyASN1(p, digest[:], sig)
		}},
	} {
		k := r.newKey(t, r.Tenant, tc.algorithm, tc.length)
		signed := r.crypto(t, "sign", map[string]any{"keyId": k["id"], "message": std([]byte("a message")), "signingAlgorithm": tc.signing}).object(t)
		sig, err := base64.StdEncoding.DecodeString(fmt.Sprint(signed["signature"]))
		if err != nil {
			t.Fatal(err)
		}
		url := fmt.Sprintf("%s/20180608/keys/%s/keyVersions/%s", r.vault(r.Tenant), k["id"], signed["keyVersionId"])
		block, _ := pem.Decode([]byte(fmt.Sprint(r.call(t, r.Tenant, "GET", url, nil).object(t)["publicKey"])))
		pub, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil || !tc.verify(pub, sig) {
			t.Errorf("%s: the signature does not verify (%v)", tc.signing, err)
		}
	}
}

func TestSizeLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	aes, rsaKey := r.newKey(t, r.Tenant, "AES", 32), r.newKey(t, r.Tenant, "RSA", 256)
	const invalid = "400 InvalidParameter"
	bytes := func(n int) string { return std(make([]byte, n)) }
	for _, tc := range []struct {
		operation string
		body      map[string]any
		want      string // "" is success
	}{
		{"encrypt", map[string]any{"keyId": aes["id"], "plaintext": bytes(4096)}, ""},
		{"encrypt", map[string]any{"keyId": aes["id"], "plaintext": bytes(4097)}, invalid},
		{"encrypt", map[string]any{"keyId": rsaKey["id"], "plaintext": bytes(190), "encryptionAlgorithm": "RSA_OAEP_SHA_256"}, ""},
		{"encrypt", map[string]any{"keyId": rsaKey["id"], "plaintext": bytes(191), "encryptionAlgorithm": "RSA_OAEP_SHA_256"}, invalid},
		{"encrypt", map[string]any{"keyId": rsaKey["id"], "plaintext": bytes(214), "encryptionAlgorithm": "RSA_OAEP_SHA_1"}, ""},
		{"encrypt", map[string]any{"keyId": rsaKey["id"], "plaintext": bytes(215), "encryptionAlgorithm": "RSA_OAEP_SHA_1"}, invalid},
		// {"a":"…"} with 4095 characters, and with 4096.
		{"encrypt", map[string]any{"keyId": aes["id"], "plaintext": "", "associatedData": map[string]string{"a": strings.Repeat("é", 4095-8)}}, ""},
		{"encrypt", map[string]any{"keyId": aes["id"], "plaintext": "", "associatedData": map[string]string{"a": strings.Repeat("é", 4096-8)}}, invalid},
		{"encrypt", map[string]any{"keyId": aes["id"], "plaintext": "", "loggingContext": map[string]string{"a": strings.Repeat("x", 4096-8)}}, invalid},
		{"sign", map[string]any{"keyId": rsaKey["id"], "message": bytes(4096), "signingAlgorithm": "SHA_256_RSA_PKCS_PSS"}, ""},
		{"sign", map[string]any{"keyId": rsaKey["id"], "message": bytes(4097), "signingAlgorithm": "SHA_256_RSA_PKCS_PSS"}, invalid},
		{"sign", map[string]any{"keyId": rsaKey["id"], "message": "", "signingAlgorithm": "SHA_256_RSA_PKCS_PSS"}, ""},
		{"generateDataEncryptionKey", map[string]any{"keyId": aes["id"], "includePlaintextKey": false, "keyShape": map[string]any{"algorithm": "RSA", "length": 256}}, invalid},
		{"generateDataEncryptionKey", map[string]any{"keyId": aes["id"], "includePlaintextKey": false, "keyShape": map[string]any{"algorithm": "AES", "length": 64}}, invalid},
	} {
		got := r.crypto(t, tc.operation, tc.body)
		if tc.want == "" && got.status != http.StatusOK || tc.want != "" && got.refusal(t) != tc.want {
			t.Errorf("%s %.120v: %d %s, want %q", tc.operation, tc.body, got.status, got.body, tc.want)
		}
	}
}

// What the Python SDK checks of Decrypt and GenerateDataEncryptionKey.
func TestDataKeysDecryptToThemselves(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	k := r.newKey(t, r.Tenant, "AES", 16)
	for _, length := range []int{16, 24, 32} {
		context := map[string]string{"b": "2", "a": "1"}
		dek := r.crypto(t, "generateDataEncryptionKey", map[string]any{
			"keyId": k["id"], "includePlaintextKey": true, "keyShape": map[string]any{"algorithm": "AES", "length": fmt.Sprint(length)}, "associatedData": context,
		}).object(t)
		raw, err := base64.StdEncoding.DecodeString(fmt.Sprint(dek["plaintext"]))
		if err != nil || len(raw) != length || fmt.Sprint(crc32.ChecksumIEEE(raw)) != dek["plaintextChecksum"] {
			t.Errorf("%d bytes: %v, %v", length, dek, err)
		}
		got := r.crypto(t, "decrypt", map[string]any{"keyId": k["id"], "ciphertext": dek["ciphertext"], "associatedData": context}).object(t)
		if got["plaintext"] != dek["plaintext"] || got["plaintextChecksum"] != dek["plaintextChecksum"] {
			t.Errorf("%d bytes: made %v, decrypted %v", length, dek, got)
		}
		again := r.crypto(t, "generateDataEncryptionKey", map[string]any{
			"keyId": k["id"], "includePlaintextKey": true, "keyShape": map[string]any{"algorithm": "AES", "length": length},
		}).object(t)
		if again["plaintext"] == dek["plaintext"] {
			t.Error("two data keys are the same")
		}
	}
}

// A key does not open what another sealed, even in the same vault, and says the same as for any
// other ciphertext that does not open.
func TestEveryCiphertextThatDoesNotOpenAnswersTheSame(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	k, other := r.newKey(t, r.Tenant, "AES", 32), r.newKey(t, r.Tenant, "AES", 32)
	sealed, err := base64.StdEncoding.DecodeString(fmt.Sprint(r.crypto(t, "encrypt", map[string]any{"keyId": k["id"], "plaintext": "aGVsbG8="}).object(t)["ciphertext"]))
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), sealed...)
	flipped[len(flipped)-1] ^= 1
	var first string
	for what, body := range map[string]map[string]any{
		"another key":  {"keyId": other["id"], "ciphertext": std(sealed)},
		"a bit":        {"keyId": k["id"], "ciphertext": std(flipped)},
		"cut off":      {"keyId": k["id"], "ciphertext": std(sealed[:40])},
		"nothing":      {"keyId": k["id"], "ciphertext": ""},
		"noise":        {"keyId": k["id"], "ciphertext": std(make([]byte, 100))},
		"another AAD":  {"keyId": k["id"], "ciphertext": std(sealed), "associatedData": map[string]string{"a": "b"}},
		"too long":     {"keyId": k["id"], "ciphertext": std(append(sealed, make([]byte, 10000)...))},
		"no version's": {"keyId": k["id"], "ciphertext": std(append([]byte(keys.ID{1}.String()), sealed[36:]...))},
	} {
		got := r.crypto(t, "decrypt", body)
		all := string(got.body) + got.hint()
		if got.refusal(t) != "400 InvalidParameter" || (first != "" && all != first) {
			t.Errorf("%s: %s, others say %s", what, all, first)
		}
		first = all
	}
}
