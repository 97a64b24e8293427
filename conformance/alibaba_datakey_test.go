// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"hash"
	"maps"
	"testing"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
)

// A ciphertext moves from key to key, whichever API and whichever kind of key made it.
func TestAlibabaReEncrypt(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	for _, generation := range alibaba.Generations() {
		t.Run(string(generation), func(t *testing.T) {
			t.Parallel()
			b := newBridge(t, server, "re-encryption")
			a := b.ali[generation]
			b.named(t, *b.oci.createKey(t, aesShape(32)).Id)
			destination := a.createKey(t, "Aliyun_SM4", forEncryption).KeyID
			other := map[string]string{"moved": "yes"}

			made := a.must(t, "Encrypt", alibaba.Params{"KeyId": b.aliID, "Plaintext": "opaque text", "EncryptionContext": aliContext})
			byOCI, err := b.oci.encrypt(t.Context(), b.ociID, []byte("Hello"), aliContext, "")
			if err != nil {
				t.Fatal(err)
			}
			for ciphertext, plaintext := range map[string]string{made.CiphertextBlob: "opaque text", *byOCI.Ciphertext: "SGVsbG8="} {
				moved := a.must(t, "ReEncrypt", alibaba.Params{
					"CiphertextBlob": ciphertext, "SourceEncryptionContext": aliContext,
					"DestinationKeyId": destination, "DestinationEncryptionContext": other,
				})
				want(t, "KeyId, which is the source's", moved.KeyID, b.aliID)
				want(t, "KeyVersionId, which is the source's", moved.KeyVersionID, made.KeyVersionID)
				opened := a.must(t, "Decrypt", alibaba.Params{"CiphertextBlob": moved.CiphertextBlob, "EncryptionContext": other})
				want(t, "plaintext", opened.Plaintext, plaintext)
				want(t, "key that opened it", opened.KeyID, destination)

				back := a.must(t, "ReEncrypt", alibaba.Params{
					"CiphertextBlob": moved.CiphertextBlob, "SourceEncryptionContext": other, "DestinationKeyId": b.aliID,
				})
				through, err := b.oci.decrypt(t.Context(), b.ociID, "", back.CiphertextBlob, nil, "")
				if err != nil {
					t.Errorf("OCI's Decrypt of what came back: %v", err)
				}
				if wanted := map[string]string{"opaque text": "opaque text", "SGVsbG8=": "Hello"}[plaintext]; string(through) != wanted {
					t.Errorf("through OCI: %q, want %q", through, wanted)
				}
			}
			want(t, "without the source's context",
				a.refusal("ReEncrypt", alibaba.Params{"CiphertextBlob": made.CiphertextBlob, "DestinationKeyId": destination}), "400 InvalidParameter")
			reEncryptsPublic(t, a, destination)
		})
	}
}

// reEncryptsPublic moves ciphertexts that anybody could make with a public key.
func reEncryptsPublic(t *testing.T, a ali, destination string) {
	t.Helper()
	for algorithm, spec := range map[string]string{"RSAES_OAEP_SHA_256": "RSA_2048", "SM2PKE": "EC_SM2"} {
		key := a.createKey(t, spec, forEncryption).KeyID
		version := a.versions(t, key)[0]
		sealed := a.must(t, "AsymmetricEncrypt", alibaba.Params{
			"KeyId": key, "KeyVersionId": version, "Algorithm": algorithm, "Plaintext": "SGVsbG8=",
		}).CiphertextBlob
		params := alibaba.Params{
			"CiphertextBlob": sealed, "DestinationKeyId": destination,
			"SourceKeyId": key, "SourceKeyVersionId": version, "SourceEncryptionAlgorithm": algorithm,
		}
		moved := a.must(t, "ReEncrypt", params)
		want(t, "KeyId of "+algorithm, moved.KeyID, key)
		want(t, "plaintext of "+algorithm, a.must(t, "Decrypt", alibaba.Params{"CiphertextBlob": moved.CiphertextBlob}).Plaintext, "SGVsbG8=")
		delete(params, "SourceKeyVersionId")
		want(t, algorithm+" without its version", a.refusal("ReEncrypt", params), "400 MissingParameter")
	}
}

// Data keys leave under somebody's RSA key, and are the ones that Decrypt shows.
func TestAlibabaExportDataKey(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	recipient, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&recipient.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, generation := range alibaba.Generations() {
		t.Run(string(generation), func(t *testing.T) {
			t.Parallel()
			a := throughAlibaba(t, server, generation)
			key := a.createKey(t, "Aliyun_AES_256", forEncryption).KeyID
			for algorithm, hash := range map[string]func() hash.Hash{"RSAES_OAEP_SHA_256": sha256.New, "RSAES_OAEP_SHA_1": sha1.New} {
				under := alibaba.Params{
					"PublicKeyBlob": base64.StdEncoding.EncodeToString(public), "WrappingKeySpec": "RSA_2048", "WrappingAlgorithm": algorithm,
					"EncryptionContext": aliContext,
				}
				with := func(more alibaba.Params) alibaba.Params {
					out := maps.Clone(under)
					maps.Copy(out, more)
					return out
				}
				made := a.must(t, "GenerateAndExportDataKey", with(alibaba.Params{"KeyId": key, "KeySpec": "AES_128"}))
				again := a.must(t, "ExportDataKey", with(alibaba.Params{"CiphertextBlob": made.CiphertextBlob}))
				shown := a.must(t, "Decrypt", alibaba.Params{"CiphertextBlob": made.CiphertextBlob, "EncryptionContext": aliContext})
				for _, reply := range []alibaba.Reply{made, again} {
					want(t, "KeyId", reply.KeyID, key)
					want(t, "KeyVersionId", reply.KeyVersionID, shown.KeyVersionID)
					wrapped, err := base64.StdEncoding.DecodeString(reply.ExportedKey)
					if err != nil {
						t.Fatal(err)
					}
					plain, err := rsa.DecryptOAEP(hash(), nil, recipient, wrapped, nil)
					if err != nil {
						t.Fatalf("%s: %v", algorithm, err)
					}
					if base64.StdEncoding.EncodeToString(plain) != shown.Plaintext || len(plain) != 16 {
						t.Errorf("%s: the recipient has another data key", algorithm)
					}
				}
				want(t, "a data key that does not fit", a.refusal("GenerateAndExportDataKey", with(alibaba.Params{"KeyId": key, "NumberOfBytes": 1024})), "400 InvalidParameter")
				want(t, "another spec", a.refusal("GenerateAndExportDataKey", with(alibaba.Params{"KeyId": key, "WrappingKeySpec": "EC_SM2"})), "400 InvalidParameter")
			}
		})
	}
}

// MACs: no SDK that a Go program can use today has types for them, so the SDKs' generic calls are used.
func TestAlibabaMAC(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	for _, generation := range alibaba.Generations() {
		t.Run(string(generation), func(t *testing.T) {
			t.Parallel()
			a := throughAlibaba(t, server, generation)
			for algorithm, size := range map[string]int{"HMAC_SM3": 32, "HMAC_SHA_224": 28, "HMAC_SHA_256": 32, "HMAC_SHA_384": 48, "HMAC_SHA_512": 64} {
				key := a.must(t, "CreateKey", alibaba.Params{"KeySpec": algorithm}).KeyMetadata
				want(t, "KeyUsage", key.KeyUsage, "GENERATE_MAC/VERIFY_MAC")
				params := alibaba.Params{"KeyId": key.KeyID, "Algorithm": algorithm, "Message": "SGVsbG8="}
				made := a.must(t, "GenerateMac", params)
				if mac, err := base64.StdEncoding.DecodeString(made.MAC); err != nil || len(mac) != size {
					t.Errorf("%s: a MAC of %d bytes, %v", algorithm, len(mac), err)
				}
				want(t, "Algorithm", made.Algorithm, algorithm)
				params["Mac"] = made.MAC
				if got := a.must(t, "VerifyMac", params); got.Value != true || got.KeyID != key.KeyID {
					t.Errorf("%s: %+v", algorithm, got)
				}
				params["Message"] = "SGVsbGw="
				if got := a.must(t, "VerifyMac", params); got.Value != false {
					t.Errorf("%s: the MAC is valid for another message", algorithm)
				}
				params["Algorithm"] = "HMAC_MD5"
				want(t, "an unknown algorithm", a.refusal("VerifyMac", params), "400 InvalidParameter")
			}
		})
	}
}

// With DryRun every one of them fails, saying how it would have ended.
func TestAlibabaDryRun(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	for _, generation := range alibaba.Generations() {
		t.Run(string(generation), func(t *testing.T) {
			t.Parallel()
			a := throughAlibaba(t, server, generation)
			key := a.createKey(t, "Aliyun_AES_256", forEncryption).KeyID
			sealed := a.must(t, "Encrypt", alibaba.Params{"KeyId": key, "Plaintext": "SGVsbG8="}).CiphertextBlob
			for action, params := range map[string]alibaba.Params{
				"Encrypt":                         {"KeyId": key, "Plaintext": "SGVsbG8="},
				"Decrypt":                         {"CiphertextBlob": sealed},
				"ReEncrypt":                       {"CiphertextBlob": sealed, "DestinationKeyId": key},
				"GenerateDataKey":                 {"KeyId": key},
				"GenerateDataKeyWithoutPlaintext": {"KeyId": key},
			} {
				params["DryRun"] = "true"
				want(t, action, a.refusal(action, params), "400 DryRunOperationError")
				for name := range params {
					if name != "DryRun" {
						params[name] = "x"
					}
				}
				want(t, action+" of nonsense", a.refusal(action, params), "400 ValidationError")
			}
		})
	}
}
