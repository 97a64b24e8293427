// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/echoprovider"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// echo is a provider that puts into a state what its configuration was given, the only way for a test
// to see what is ephemeral.
func echo() map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){"echo": echoprovider.NewProviderServer()}
}

func echoed(address string) string {
	return fmt.Sprintf("provider \"echo\" {\n  data = %s\n}\nresource \"echo\" \"it\" {}\n", address)
}

func heard(attribute string, value knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue("echo.it", tfjsonpath.New("data").AtMapKey(attribute), value)
}

func TestDecryptedDataEphemeral(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := *w.createKey(t).Id
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), ProtoV6ProviderFactories: echo(), Steps: []resource.TestStep{{
		Config: w.used(`resource "oci_kms_encrypted_data"`, key, fmt.Sprintf("  plaintext = %q\n  associated_data = { to = \"you\" }\n", inBase64("one"))) +
			w.used(`ephemeral "oci_kms_decrypted_data"`, key, "  ciphertext = oci_kms_encrypted_data.it.ciphertext\n  associated_data = { to = \"you\" }\n") +
			echoed("ephemeral.oci_kms_decrypted_data.it"),
		ConfigStateChecks: []statecheck.StateCheck{
			heard("plaintext", knownvalue.StringExact(inBase64("one"))), heard("plaintext_checksum", knownvalue.StringExact(checksum([]byte("one")))),
		},
	}}})
}

func TestGeneratedKeyEphemeral(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := *w.createKey(t).Id
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), ProtoV6ProviderFactories: echo(), Steps: []resource.TestStep{{
		Config: w.used(`ephemeral "oci_kms_generated_key"`, key, "  associated_data = { to = \"you\" }\n  logging_context = { note = \"me\" }\n"+
			"  key_shape {\n    algorithm = \"AES\"\n    length = 24\n  }\n") + echoed("ephemeral.oci_kms_generated_key.it"),
		Check: func(s *terraform.State) error {
			r := s.RootModule().Resources["echo.it"].Primary.Attributes
			dek, err := w.open(t, key, r["data.ciphertext"], map[string]string{"to": "you"})
			if err != nil {
				return err
			}
			if len(dek) != 24 || r["data.plaintext"] != base64.StdEncoding.EncodeToString(dek) || r["data.plaintext_checksum"] != checksum(dek) {
				return fmt.Errorf("the ciphertext opens to %d bytes, or not to the plaintext", len(dek))
			}
			return nil
		},
	}}})
}

// What is ephemeral is in no file that Terraform leaves behind.
func TestEphemeral_LeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := *w.createKey(t).Id
	ws := w.workspace(t)
	ws.Write(t, "main.tf", providersBlock+
		w.used(`resource "oci_kms_generated_key"`, key, "  include_plaintext_key = false\n  key_shape {\n    algorithm = \"AES\"\n    length = 32\n  }\n")+
		w.used(`ephemeral "oci_kms_decrypted_data"`, key, "  ciphertext = oci_kms_generated_key.it.ciphertext\n"))
	ws.Must(t, "apply", "-auto-approve")
	settled(t, ws, "-out=plan")
	ciphertext, _ := show(t, ws, "oci_kms_generated_key.it", "ciphertext").(string)
	dek, err := w.open(t, key, ciphertext, nil)
	if err != nil {
		t.Fatal(err)
	}
	left := read(t, filepath.Join(ws.Dir, "terraform.tfstate")) + ws.Must(t, "show", "-json", "plan")
	if !strings.Contains(left, ciphertext) {
		t.Error("the state does not have the ciphertext")
	}
	if strings.Contains(left, base64.StdEncoding.EncodeToString(dek)) || strings.Contains(left, checksum(dek)) {
		t.Error("the state or the plan has the plaintext")
	}
}

func TestEphemeral_Refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := *w.createKey(t).Id
	const decrypt, generate = `ephemeral "oci_kms_decrypted_data"`, `ephemeral "oci_kms_generated_key"`
	w.refuses(t, map[string]refusal{
		"no ciphertext":        {w.used(decrypt, key, ""), `"ciphertext" is required`},
		"ciphertext is none":   {w.used(decrypt, key, `ciphertext = "?"`), `It must be given in base64`},
		"ciphertext of nobody": {w.used(decrypt, key, `ciphertext = "AAAA"`), `Decrypting with key ` + key},
		"bound to null":        {w.used(decrypt, key, "ciphertext = \"AAAA\"\nassociated_data = { a = null }"), `Value is null`},
		"no shape":             {w.used(generate, key, ""), `must be exactly one block`},
		"data key of RSA":      {w.used(generate, key, "key_shape {\n algorithm = \"RSA\"\n length = 256\n}"), `"RSA" is not one of AES`},
		"data key of 33 bytes": {w.used(generate, key, "key_shape {\n algorithm = \"AES\"\n length = 33\n}"), `Generating a data encryption key`},
		"endpoint of nobody":   {fmt.Sprintf("%s \"it\" {\n crypto_endpoint = \"http://127.0.0.1:1\"\n key_id = %q\n ciphertext = \"AAAA\"\n}", decrypt, key), `Nothing accepts connections there`},
		"endpoint with a path": {fmt.Sprintf("%s \"it\" {\n crypto_endpoint = \"http://127.0.0.1:1/x\"\n key_id = %q\n ciphertext = \"AAAA\"\n}", decrypt, key), `leave the rest away`},
	})
}

// The example's two ciphertexts are what it says they are, and its data key is not in the state.
func TestTerraformExamples_EnvelopeEncryptedSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exportForExamples()
	ws := w.workspace(t)
	ws.Copy(t, filepath.Join(exampleRoot, "envelope-encrypted-secret"))
	ws.Must(t, "apply", "-auto-approve", "-var=password=hunter2")
	key, _ := show(t, ws, "oci_kms_key.envelopes", "id").(string)
	purpose := map[string]string{"database": "orders"}
	password, err := w.open(t, key, ws.Must(t, "output", "-raw", "encrypted_password"), purpose)
	if err != nil || string(password) != "hunter2" {
		t.Errorf("the password opens as %q with error %v", password, err)
	}
	dek, err := w.open(t, key, ws.Must(t, "output", "-raw", "encrypted_data_key"), purpose)
	if err != nil || len(dek) != 32 {
		t.Errorf("the data key opens to %d bytes with error %v", len(dek), err)
	}
	if strings.Contains(read(t, filepath.Join(ws.Dir, "terraform.tfstate")), base64.StdEncoding.EncodeToString(dek)) {
		t.Error("the data key is in the state")
	}
}
