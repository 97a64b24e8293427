// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"testing"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
)

// The curve of SM2 (GB/T 32918.5): a, b, and the base point.
const sm2Curve = "fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc" +
	"28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93" +
	"32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7" +
	"bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"

// sm2Digest is what a signer hands in: SM3(Z ‖ message) with the default identity, SM3 by OpenSSL.
func (w workshop) sm2Digest(t *testing.T, public, message []byte) []byte {
	t.Helper()
	sm3 := func(b []byte) []byte {
		w.write(t, "hashed", b)
		w.openssl(t, "dgst -sm3 -binary -out hash hashed")
		return w.read(t, "hash")
	}
	curve, err := hex.DecodeString(sm2Curve)
	if err != nil {
		t.Fatal(err)
	}
	z := append([]byte{0x00, 0x80}, "1234567812345678"...)
	z = append(append(z, curve...), public[len(public)-64:]...)
	return sm3(append(sm3(z), message...))
}

// sharedSeed gives the server keys that OpenSSL has too: its SM2 key for both uses, and a MAC key of
// known bytes.
const sharedSeed = `
[[tenant]]
name = "first"
  [[tenant.vault]]
  name = "main"
  default = true
    [[tenant.vault.key]]
    name = "sm2"
    spec = "EC_SM2"
    aliases = ["alias/sm2"]
      [[tenant.vault.key.version]]
      material = "%s"
    [[tenant.vault.key]]
    name = "mac"
    spec = "HMAC_SM3"
    aliases = ["alias/mac"]
      [[tenant.vault.key.version]]
      material = "%s"
`

// What the server signs, encrypts and authenticates, OpenSSL verifies and opens with the same key,
// and the other way round.
func TestAlibabaSMAndOpenSSL(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.openssl(t, "genpkey -algorithm SM2 -out private.pem")
	w.openssl(t, "pkcs8 -topk8 -nocrypt -in private.pem -outform DER -out private.der")
	w.openssl(t, "pkey -in private.pem -pubout -outform DER -out public.der")
	private, mac := w.read(t, "private.der"), bytes.Repeat([]byte{0x5a}, 32)
	w.write(t, "seed.toml", fmt.Appendf(nil, sharedSeed, base64.StdEncoding.EncodeToString(private), base64.StdEncoding.EncodeToString(mac)))
	server := start(t, live.Options{Seed: filepath.Join(w.path, "seed.toml")})
	for _, generation := range alibaba.Generations() {
		t.Run(string(generation), func(t *testing.T) {
			t.Parallel()
			a, own := throughAlibaba(t, server, generation), newWorkshop(t)
			own.write(t, "private.der", private)
			version := a.versions(t, "alias/sm2")[0]
			text := a.must(t, "GetPublicKey", alibaba.Params{"KeyId": "alias/sm2", "KeyVersionId": version}).PublicKey
			if !bytes.Equal(publicDER(t, text), w.read(t, "public.der")) {
				t.Error("GetPublicKey answers another key than OpenSSL's")
			}
			own.write(t, "public.pem", []byte(text))
			sm2Signs(t, a, own, version, publicDER(t, text))
			sm2Encrypts(t, a, own, version)
			sm3Authenticates(t, a, own, mac)
		})
	}
}

func sm2Signs(t *testing.T, a ali, w workshop, version string, public []byte) {
	t.Helper()
	const rawSM2 = " -rawin -digest sm3 -pkeyopt distid:1234567812345678"
	message := []byte("a message of any length")
	digest := w.sm2Digest(t, public, message)
	signature := a.sign(t, "alias/sm2", version, "SM2DSA", digest)
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "message", message)
	w.write(t, "ours", raw)
	w.openssl(t, "pkeyutl -verify -pubin -inkey public.pem -in message -sigfile ours"+rawSM2)
	w.openssl(t, "pkeyutl -sign -keyform DER -inkey private.der -in message -out theirs"+rawSM2)
	for who, signature := range map[string]string{"the server": signature, "OpenSSL": base64.StdEncoding.EncodeToString(w.read(t, "theirs"))} {
		if !a.verify(t, "alias/sm2", version, "SM2DSA", digest, signature) {
			t.Errorf("the signature of %s does not verify", who)
		}
		if a.verify(t, "alias/sm2", version, "SM2DSA", w.sm2Digest(t, public, []byte("another")), signature) {
			t.Errorf("the signature of %s verifies for another message", who)
		}
	}
}

func sm2Encrypts(t *testing.T, a ali, w workshop, version string) {
	t.Helper()
	head := func(name, value string) alibaba.Params {
		return alibaba.Params{"KeyId": "alias/sm2", "KeyVersionId": version, "Algorithm": "SM2PKE", name: value}
	}
	for _, size := range []int{1, 32, 6047} {
		plaintext := bytes.Repeat([]byte{0xc3}, size)
		encoded := base64.StdEncoding.EncodeToString(plaintext)
		w.write(t, "plaintext", plaintext)
		w.openssl(t, "pkeyutl -encrypt -pubin -inkey public.pem -in plaintext -out ciphertext")
		theirs := base64.StdEncoding.EncodeToString(w.read(t, "ciphertext"))
		if got := a.must(t, "AsymmetricDecrypt", head("CiphertextBlob", theirs)); got.Plaintext != encoded {
			t.Errorf("OpenSSL's ciphertext of %d bytes opens otherwise", size)
		}
		ours, err := base64.StdEncoding.DecodeString(a.must(t, "AsymmetricEncrypt", head("Plaintext", encoded)).CiphertextBlob)
		if err != nil {
			t.Fatal(err)
		}
		w.write(t, "ciphertext", ours)
		w.openssl(t, "pkeyutl -decrypt -keyform DER -inkey private.der -in ciphertext -out opened")
		if !bytes.Equal(w.read(t, "opened"), plaintext) {
			t.Errorf("the server's ciphertext of %d bytes opens otherwise", size)
		}
	}
	tooLong := base64.StdEncoding.EncodeToString(make([]byte, 6048))
	want(t, "6048 bytes", a.refusal("AsymmetricEncrypt", head("Plaintext", tooLong)), "400 InvalidParameter")
}

func sm3Authenticates(t *testing.T, a ali, w workshop, key []byte) {
	t.Helper()
	w.write(t, "message", []byte("Hello"))
	w.openssl(t, "dgst -sm3 -mac HMAC -macopt hexkey:"+hex.EncodeToString(key)+" -binary -out mac message")
	params := alibaba.Params{"KeyId": "alias/mac", "Algorithm": "HMAC_SM3", "Message": "SGVsbG8="}
	want(t, "MAC", a.must(t, "GenerateMac", params).MAC, base64.StdEncoding.EncodeToString(w.read(t, "mac")))
}

// The server encrypts under a key that OpenSSL made: that of a data key's recipient.
func TestAlibabaExportUnderSM2(t *testing.T) {
	t.Parallel()
	newWorkshop(t)
	server := start(t, live.Options{})
	for _, generation := range alibaba.Generations() {
		t.Run(string(generation), func(t *testing.T) {
			t.Parallel()
			a, w := throughAlibaba(t, server, generation), newWorkshop(t)
			w.openssl(t, "genpkey -algorithm SM2 -out recipient.pem")
			w.openssl(t, "pkey -in recipient.pem -pubout -outform DER -out recipient.der")
			key := a.createKey(t, "Aliyun_SM4", forEncryption).KeyID
			under := alibaba.Params{
				"KeyId": key, "PublicKeyBlob": base64.StdEncoding.EncodeToString(w.read(t, "recipient.der")),
				"WrappingKeySpec": "EC_SM2", "WrappingAlgorithm": "SM2PKE", "NumberOfBytes": 16,
			}
			made := a.must(t, "GenerateAndExportDataKey", under)
			delete(under, "KeyId")
			delete(under, "NumberOfBytes")
			under["CiphertextBlob"] = made.CiphertextBlob
			again := a.must(t, "ExportDataKey", under)
			plain := a.must(t, "Decrypt", alibaba.Params{"CiphertextBlob": made.CiphertextBlob}).Plaintext
			for _, exported := range []string{made.ExportedKey, again.ExportedKey} {
				raw, err := base64.StdEncoding.DecodeString(exported)
				if err != nil {
					t.Fatal(err)
				}
				w.write(t, "exported", raw)
				w.openssl(t, "pkeyutl -decrypt -inkey recipient.pem -in exported -out datakey")
				if got := base64.StdEncoding.EncodeToString(w.read(t, "datakey")); got != plain || len(w.read(t, "datakey")) != 16 {
					t.Error("the recipient has another data key")
				}
			}
		})
	}
}
