// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"strconv"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"
)

// crypto is Oracle's own client of the first vault's crypto endpoint.
func (w *world) crypto(t *testing.T) keymanagement.KmsCryptoClient {
	t.Helper()
	config, err := common.ConfigurationProviderFromFile(w.OCI.ConfigFile, "")
	if err != nil {
		t.Fatal(err)
	}
	client, err := keymanagement.NewKmsCryptoClientWithConfigurationProvider(config, w.OCI.CryptoEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// open decrypts behind Terraform's back.
func (w *world) open(t *testing.T, key, ciphertext string, bound map[string]string) ([]byte, error) {
	t.Helper()
	answer, err := w.crypto(t).Decrypt(context.Background(), keymanagement.DecryptRequest{DecryptDataDetails: keymanagement.DecryptDataDetails{
		KeyId: &key, Ciphertext: &ciphertext, AssociatedData: bound,
	}})
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(*answer.Plaintext)
}

// createShape makes a key behind Terraform's back.
func (w *world) createShape(t *testing.T, algorithm keymanagement.KeyShapeAlgorithmEnum, length int, curve keymanagement.KeyShapeCurveIdEnum) keymanagement.Key {
	t.Helper()
	name := "made elsewhere"
	answer, err := w.management(t).CreateKey(context.Background(), keymanagement.CreateKeyRequest{CreateKeyDetails: keymanagement.CreateKeyDetails{
		CompartmentId: &w.OCI.Compartment, DisplayName: &name, KeyShape: &keymanagement.KeyShape{Algorithm: algorithm, Length: &length, CurveId: curve},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Key
}

func (w *world) createP256(t *testing.T) keymanagement.Key {
	t.Helper()
	return w.createShape(t, keymanagement.KeyShapeAlgorithmEcdsa, 32, keymanagement.KeyShapeCurveIdP256)
}

// rotate makes a new version of a key behind Terraform's back.
func (w *world) rotate(t *testing.T, key string) {
	t.Helper()
	if _, err := w.management(t).CreateKeyVersion(context.Background(), keymanagement.CreateKeyVersionRequest{KeyId: &key}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) scheduleKey(t *testing.T, key string) {
	t.Helper()
	if _, err := w.management(t).ScheduleKeyDeletion(context.Background(), keymanagement.ScheduleKeyDeletionRequest{KeyId: &key}); err != nil {
		t.Fatal(err)
	}
}

// used is the configuration of something that a key is used for; more are more lines of it.
func (w *world) used(kind, key, more string) string {
	return fmt.Sprintf("%s \"it\" {\n  crypto_endpoint = %q\n  key_id = %q\n%s\n}\n", kind, w.OCI.CryptoEndpoint, key, more)
}

func inBase64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// checksum is the CRC-32 of a text as a decimal number.
func checksum(text []byte) string {
	return strconv.FormatUint(uint64(crc32.ChecksumIEEE(text)), 10)
}

// opens checks that an attribute of a resource is a ciphertext of a plaintext.
func (w *world) opens(t *testing.T, address, plaintext string, bound map[string]string) resource.TestCheckFunc {
	return func(s *terraform.State) error {
		r := s.RootModule().Resources[address].Primary.Attributes
		got, err := w.open(t, r["key_id"], r["ciphertext"], bound)
		if err != nil {
			return err
		}
		if string(got) != plaintext {
			return fmt.Errorf("the ciphertext of %s opens as %q, want %q", address, got, plaintext)
		}
		if want := checksum([]byte(r["ciphertext"])); r["id"] != want {
			return fmt.Errorf("the id of %s is %s, want %s", address, r["id"], want)
		}
		return nil
	}
}

func replaced(address string) resource.ConfigPlanChecks {
	return planned(address, plancheck.ResourceActionReplace)
}

func isNull(address, attribute string) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), knownvalue.Null())
}

// Data is encrypted once; rotation and even the deletion of its key change nothing of that, and every
// argument makes another ciphertext.
func TestEncryptedData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const kind, it = `resource "oci_kms_encrypted_data"`, "oci_kms_encrypted_data.it"
	key, next := w.createKey(t), *w.createKey(t).Id
	plain := func(text string) string { return fmt.Sprintf("  plaintext = %q\n", inBase64(text)) }
	const bound = "  associated_data = { to = \"you\" }\n  logging_context = { note = \"me\" }\n"
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{
			Config: w.used(kind, *key.Id, plain("one")), Check: w.opens(t, it, "one", nil),
			ConfigStateChecks: []statecheck.StateCheck{
				exactly(it, "encryption_algorithm", "AES_256_GCM"), exactly(it, "key_version_id", *key.CurrentKeyVersion),
				statecheck.ExpectSensitiveValue(it, tfjsonpath.New("plaintext")),
			},
		},
		{
			PreConfig: func() { w.rotate(t, *key.Id) },
			Config:    w.used(kind, *key.Id, plain("one")), ConfigPlanChecks: unchanged(),
			Check: w.opens(t, it, "one", nil),
		},
		{ // only timeouts change in place
			Config: w.used(kind, *key.Id, plain("one")+"  timeouts {\n    create = \"1m\"\n  }\n"), ConfigPlanChecks: updated(it),
			ConfigStateChecks: []statecheck.StateCheck{exactly(it, "key_version_id", *key.CurrentKeyVersion)},
		},
		{
			Config: w.used(kind, *key.Id, plain("two")), ConfigPlanChecks: replaced(it), Check: w.opens(t, it, "two", nil),
		},
		{
			Config: w.used(kind, *key.Id, plain("two")+bound), ConfigPlanChecks: replaced(it),
			Check: resource.ComposeTestCheckFunc(w.opens(t, it, "two", map[string]string{"to": "you"}), func(s *terraform.State) error {
				if _, err := w.open(t, *key.Id, s.RootModule().Resources[it].Primary.Attributes["ciphertext"], nil); err == nil {
					return fmt.Errorf("the ciphertext opens without its associated data")
				}
				return nil
			}),
		},
		{ // an old version, by name
			Config:           w.used(kind, *key.Id, plain("two")+fmt.Sprintf("  key_version_id = %q\n  encryption_algorithm = \"AES_256_GCM\"\n", *key.CurrentKeyVersion)),
			ConfigPlanChecks: replaced(it), Check: w.opens(t, it, "two", nil),
			ConfigStateChecks: []statecheck.StateCheck{exactly(it, "key_version_id", *key.CurrentKeyVersion)},
		},
		{Config: w.used(kind, next, plain("two")), ConfigPlanChecks: replaced(it), Check: w.opens(t, it, "two", nil)},
		{ // it outlives its key
			PreConfig: func() { w.scheduleKey(t, next) },
			Config:    w.used(kind, next, plain("two")), ConfigPlanChecks: unchanged(),
		},
		{ // and goes without it
			Config: w.used(kind, next, plain("two")), Destroy: true,
		},
	}})
}

// A data encryption key is generated once, with or without its plaintext in the state.
func TestGeneratedKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const kind, it = `resource "oci_kms_generated_key"`, "oci_kms_generated_key.it"
	key := *w.createKey(t).Id
	config := func(whole bool, length int, more string) string {
		return w.used(kind, key, fmt.Sprintf("include_plaintext_key = %t\n  key_shape {\n    algorithm = \"AES\"\n    length = %d\n  }\n%s", whole, length, more))
	}
	opens := func(length int, bound map[string]string) resource.TestCheckFunc {
		return func(s *terraform.State) error {
			r := s.RootModule().Resources[it].Primary.Attributes
			dek, err := w.open(t, key, r["ciphertext"], bound)
			if err != nil {
				return err
			}
			if len(dek) != length {
				return fmt.Errorf("the key has %d bytes, want %d", len(dek), length)
			}
			if whole, is := r["plaintext"]; is {
				shown, err := base64.StdEncoding.DecodeString(whole)
				if err != nil || !bytes.Equal(shown, dek) || r["plaintext_checksum"] != checksum(dek) {
					return fmt.Errorf("the plaintext in the state is not that of the ciphertext")
				}
			}
			if want := checksum([]byte(r["ciphertext"])); r["id"] != want {
				return fmt.Errorf("the id is %s, want %s", r["id"], want)
			}
			return nil
		}
	}
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{
			Config: config(true, 32, ""), Check: opens(32, nil),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(it, tfjsonpath.New("plaintext"), knownvalue.NotNull()),
				statecheck.ExpectSensitiveValue(it, tfjsonpath.New("plaintext")),
				statecheck.ExpectSensitiveValue(it, tfjsonpath.New("plaintext_checksum")),
			},
		},
		{
			PreConfig: func() { w.rotate(t, key) },
			Config:    config(true, 32, ""), ConfigPlanChecks: unchanged(),
		},
		{
			Config: config(false, 16, ""), ConfigPlanChecks: replaced(it), Check: opens(16, nil),
			ConfigStateChecks: []statecheck.StateCheck{isNull(it, "plaintext"), isNull(it, "plaintext_checksum")},
		},
		{
			Config:           config(false, 16, "associated_data = { to = \"you\" }\nlogging_context = { note = \"me\" }"),
			ConfigPlanChecks: replaced(it), Check: opens(16, map[string]string{"to": "you"}),
		},
		{ // it outlives its key
			PreConfig: func() { w.scheduleKey(t, key) },
			Config:    config(false, 16, "associated_data = { to = \"you\" }\nlogging_context = { note = \"me\" }"), ConfigPlanChecks: unchanged(),
		},
	}})
}

// A signature is made and verified once; a wrong one is an answer and no error.
func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const signed, verified = "oci_kms_sign.it", "oci_kms_verify.it"
	key := w.createP256(t)
	config := func(message, more, checked string) string {
		return w.used(`resource "oci_kms_sign"`, *key.Id, fmt.Sprintf("  message = %q\n  signing_algorithm = \"ECDSA_SHA_256\"\n%s", message, more)) +
			w.used(`resource "oci_kms_verify"`, *key.Id, fmt.Sprintf("  message = %q\n  signing_algorithm = \"ECDSA_SHA_256\"\n%s", checked, more)+
				"  signature = oci_kms_sign.it.signature\n"+
				"  key_version_id = oci_kms_sign.it.key_version_id\n")
	}
	valid := func(is bool) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(verified, tfjsonpath.New("is_signature_valid"), knownvalue.Bool(is))
	}
	const digest = "  message_type = \"DIGEST\"\n"
	one, hash := inBase64("one"), base64.StdEncoding.EncodeToString(make([]byte, 32))
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{ // the service lets the padding be missing
			Config: config("message", "", "message="),
			Check:  resource.TestCheckResourceAttrPair(verified, "id", signed, "signature"),
			ConfigStateChecks: []statecheck.StateCheck{
				exactly(signed, "id", *key.Id), exactly(signed, "key_version_id", *key.CurrentKeyVersion), exactly(signed, "message_type", "RAW"),
				exactly(verified, "message_type", "RAW"), valid(true),
			},
		},
		{
			PreConfig: func() { w.rotate(t, *key.Id) },
			Config:    config("message", "", "message="), ConfigPlanChecks: unchanged(),
		},
		{ // another message was signed
			Config: config("message", "", one), ConfigPlanChecks: replaced(verified), ConfigStateChecks: []statecheck.StateCheck{valid(false)},
		},
		{
			Config: config(hash, digest, hash), ConfigPlanChecks: replaced(signed),
			ConfigStateChecks: []statecheck.StateCheck{exactly(signed, "message_type", "DIGEST"), valid(true)},
		},
		{ // an id is all that can be imported
			Config: config(hash, digest, hash), ResourceName: signed, ImportState: true, ImportStateId: *key.Id,
			ImportStateCheck: imported(*key.Id),
		},
		{
			Config: config(hash, digest, hash), ResourceName: verified, ImportState: true, ImportStateId: "AAAA",
			ImportStateCheck: imported("AAAA"),
		},
		{ // they outlive their key
			PreConfig: func() { w.scheduleKey(t, *key.Id) },
			Config:    config(hash, digest, hash), ConfigPlanChecks: unchanged(),
		},
	}})
}

// imported checks that exactly one resource was imported, by an id and nothing else.
func imported(id string) resource.ImportStateCheckFunc {
	return func(s []*terraform.InstanceState) error {
		if len(s) != 1 || s[0].ID != id || s[0].Attributes["key_id"] != "" {
			return fmt.Errorf("imported were %v", s)
		}
		return nil
	}
}

// With RSA the algorithm of encryption is the caller's choice, and signatures have paddings.
func TestCrypto_RSA(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := *w.createShape(t, keymanagement.KeyShapeAlgorithmRsa, 256, "").Id
	const sealed, verified = "oci_kms_encrypted_data.it", "oci_kms_verify.it"
	config := fmt.Sprintf(`
data "oci_kms_key_versions" "it" {
  key_id = %q
  management_endpoint = %q
}
`, key, w.OCI.ManagementEndpoint) +
		w.used(`resource "oci_kms_encrypted_data"`, key, fmt.Sprintf("  plaintext = %q\n  encryption_algorithm = \"RSA_OAEP_SHA_256\"\n", inBase64("one"))) +
		w.used(`resource "oci_kms_sign"`, key, "  message = \"AAAA\"\n  signing_algorithm = \"SHA_384_RSA_PKCS_PSS\"\n") +
		w.used(`resource "oci_kms_verify"`, key, `
  message = "AAAA"
  signing_algorithm = oci_kms_sign.it.signing_algorithm
  signature = oci_kms_sign.it.signature
  key_version_id = data.oci_kms_key_versions.it.key_versions[0].id
`)
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{{
		Config: config, ConfigStateChecks: []statecheck.StateCheck{
			exactly(sealed, "encryption_algorithm", "RSA_OAEP_SHA_256"),
			statecheck.ExpectKnownValue(verified, tfjsonpath.New("is_signature_valid"), knownvalue.Bool(true)),
		},
	}}})
}

// What is refused before anything is asked, and what the service refuses; no secret is told.
func TestCrypto_Refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	aes, p256, disabled := *w.createKey(t).Id, *w.createP256(t).Id, *w.createKey(t).Id
	w.disable(t, disabled)
	const encrypt, generate, sign, verify = `resource "oci_kms_encrypted_data"`, `resource "oci_kms_generated_key"`, `resource "oci_kms_sign"`, `resource "oci_kms_verify"`
	const plain, message, shape = "  plaintext = \"AAAA\"\n", "  message = \"AAAA\"\n", "  key_shape {\n    algorithm = \"AES\"\n    length = 32\n  }\n"
	const whole, ecdsa, signature = "  include_plaintext_key = true\n", "  signing_algorithm = \"ECDSA_SHA_256\"\n", "  signature = \"AAAA\"\n"
	at := func(endpoint string) string {
		return fmt.Sprintf("%s \"it\" {\n  crypto_endpoint = %q\n  key_id = %q\n%s}\n", encrypt, endpoint, aes, plain)
	}
	w.refuses(t, map[string]refusal{
		"no plaintext":                 {w.used(encrypt, aes, ""), `"plaintext" is required`},
		"plaintext is none":            {w.used(encrypt, aes, `plaintext = "secret!"`), `It must be given in base64`},
		"plaintext cut":                {w.used(encrypt, aes, `plaintext = "AAA=="`), `It must be given in base64`},
		"unknown algorithm":            {w.used(encrypt, aes, plain+`encryption_algorithm = "ROT13"`), `"ROT13" is not one of AES_256_GCM`},
		"algorithm of another key":     {w.used(encrypt, aes, plain+`encryption_algorithm = "RSA_OAEP_SHA_256"`), `encryptionAlgorithm`},
		"associated with null":         {w.used(encrypt, aes, plain+`associated_data = { a = null }`), `Value is null`},
		"logged with null":             {w.used(encrypt, aes, plain+`logging_context = { a = null }`), `Value is null`},
		"unknown version":              {w.used(encrypt, aes, plain+`key_version_id = "ocid1.keyversion.oc1..x"`), `Encrypt at`},
		"unknown key":                  {w.used(encrypt, aes[:len(aes)-1]+"x", plain), `Check the OCID`},
		"disabled key":                 {w.used(encrypt, disabled, plain), `Encrypting with key ` + disabled},
		"key for signatures":           {w.used(encrypt, p256, plain), `Encrypt at`},
		"management endpoint":          {at("https://abc-management.kms.us-ashburn-1.oraclecloud.com"), `is the management endpoint`},
		"endpoint with a slash":        {at(w.OCI.CryptoEndpoint + "/"), `ends with a slash`},
		"endpoint where nobody is":     {at("http://127.0.0.1:1"), `Nothing accepts connections there`},
		"endpoint of the vaults":       {at(w.OCI.VaultEndpoint), `is the address of the vault service`},
		"a timeout that is none":       {w.used(encrypt, aes, plain+"timeouts {\n create = \"soon\"\n}"), `not a duration`},
		"computed":                     {w.used(encrypt, aes, plain+`ciphertext = "AAAA"`), `Remove the configuration line`},
		"no shape":                     {w.used(generate, aes, whole), `must be exactly one block`},
		"two shapes":                   {w.used(generate, aes, whole+shape+shape), `must be exactly one block`},
		"no choice of plaintext":       {w.used(generate, aes, shape), `"include_plaintext_key" is required`},
		"data key of RSA":              {w.used(generate, aes, whole+"key_shape {\n algorithm = \"RSA\"\n length = 256\n}"), `"RSA" is not one of AES`},
		"data key of 33 bytes":         {w.used(generate, aes, whole+"key_shape {\n algorithm = \"AES\"\n length = 33\n}"), `keyShape`},
		"data key on a curve":          {w.used(generate, aes, whole+"key_shape {\n algorithm = \"AES\"\n length = 32\n curve_id = \"NIST_P256\"\n}"), `curveId`},
		"data key of a signer":         {w.used(generate, p256, whole+shape), `Generating a data encryption key with key`},
		"no message":                   {w.used(sign, p256, ecdsa), `"message" is required`},
		"message is none":              {w.used(sign, p256, ecdsa+`message = "?"`), `It must be given in base64`},
		"unknown signing algorithm":    {w.used(sign, p256, message+`signing_algorithm = "ED25519"`), `"ED25519" is not one of SHA_224`},
		"unknown message type":         {w.used(sign, p256, message+ecdsa+`message_type = "HASH"`), `"HASH" is not one of RAW`},
		"digest of another length":     {w.used(sign, p256, message+ecdsa+`message_type = "DIGEST"`), `a digest for this signingAlgorithm has 32`},
		"signature with an AES key":    {w.used(sign, aes, message+ecdsa), `Signing with key ` + aes},
		"no signature":                 {w.used(verify, p256, message+ecdsa+`key_version_id = "x"`), `"signature" is required`},
		"no version":                   {w.used(verify, p256, message+ecdsa+signature), `"key_version_id" is required`},
		"signature is none":            {w.used(verify, p256, message+ecdsa+"key_version_id = \"x\"\nsignature = \"?\""), `It must be given in base64`},
		"verified by unknown version":  {w.used(verify, p256, message+ecdsa+signature+`key_version_id = "ocid1.keyversion.oc1..x"`), `Verifying a signature with key`},
		"verified by another's method": {w.used(verify, p256, message+signature+"key_version_id = \"x\"\nsigning_algorithm = \"MD5\""), `"MD5" is not one of SHA_224`},
	})
}

// State that Oracle's provider wrote is taken over: nothing is encrypted, made or signed again.
func TestMovedState_Crypto(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ws := w.workspace(t)
	key, signer := w.createKey(t), w.createP256(t)
	ws.Write(t, "main.tf", providersBlock+w.used(`resource "oci_kms_encrypted_data"`, *key.Id, "  plaintext = \"AAAA\"\n")+
		w.used(`resource "oci_kms_generated_key"`, *key.Id, "  include_plaintext_key = true\n  key_shape {\n    algorithm = \"AES\"\n    length = 32\n  }\n")+
		w.used(`resource "oci_kms_sign"`, *signer.Id, "  message = \"AAAA\"\n  signing_algorithm = \"ECDSA_SHA_256\"\n")+
		w.used(`resource "oci_kms_verify"`, *signer.Id, fmt.Sprintf("  message = \"AAAA\"\n  signing_algorithm = \"ECDSA_SHA_256\"\n  signature = \"AAAA\"\n"+
			"  key_version_id = %q\n", *signer.CurrentKeyVersion)))
	type object = map[string]any
	resources := []any{}
	for kind, attributes := range map[string]object{
		"oci_kms_encrypted_data": { // the algorithm is lost at its first refresh
			"id": "1", "key_id": *key.Id, "plaintext": "AAAA", "ciphertext": "BBBB", "key_version_id": *key.CurrentKeyVersion, "encryption_algorithm": "",
			"associated_data": nil, "logging_context": nil,
		},
		"oci_kms_generated_key": {
			"id": "2", "key_id": *key.Id, "include_plaintext_key": true, "ciphertext": "BBBB", "plaintext": "AAAA", "plaintext_checksum": "3",
			"associated_data": nil, "logging_context": nil, "key_shape": []any{object{"algorithm": "AES", "length": 32, "curve_id": ""}},
		},
		"oci_kms_sign": {
			"id": *signer.Id, "key_id": *signer.Id, "message": "AAAA", "signing_algorithm": "ECDSA_SHA_256", "signature": "AAAA",
			"key_version_id": *signer.CurrentKeyVersion, "message_type": nil,
		},
		"oci_kms_verify": {
			"id": "AAAA", "key_id": *signer.Id, "message": "AAAA", "signing_algorithm": "ECDSA_SHA_256", "signature": "AAAA",
			"key_version_id": *signer.CurrentKeyVersion, "message_type": nil, "is_signature_valid": true,
		},
	} {
		attributes["crypto_endpoint"], attributes["timeouts"] = w.OCI.CryptoEndpoint, nil
		resources = append(resources, object{
			"mode": "managed", "type": kind, "name": "it", "provider": fmt.Sprintf("provider[%q]", providerHost()+"/oracle/oci"),
			"instances": []any{object{"schema_version": 0, "attributes": attributes, "sensitive_attributes": []any{}}},
		})
	}
	state, err := json.Marshal(object{
		"version": 4, "terraform_version": "1.5.7", "serial": 1, "lineage": "a", "outputs": object{}, "resources": resources,
	})
	if err != nil {
		t.Fatal(err)
	}
	ws.Write(t, "terraform.tfstate", string(state))
	settled(t, ws)
}

// providerHost is the registry that the binary means where none is named.
func providerHost() string {
	return cmp.Or(os.Getenv("TF_ACC_PROVIDER_HOST"), "registry.terraform.io")
}
