// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// What one encrypts the other decrypts, also after the key was rotated.
func TestCryptoData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const opened, sealed = "data.oci_kms_decrypted_data.it", "data.oci_kms_encrypted_data.it"
	key := *w.createKey(t).Id
	config := func(text string) string {
		return w.used(`resource "oci_kms_encrypted_data"`, key, fmt.Sprintf("  plaintext = %q\n  associated_data = { to = \"you\" }\n", inBase64(text))) +
			w.used(`data "oci_kms_decrypted_data"`, key, "  ciphertext = oci_kms_encrypted_data.it.ciphertext\n  associated_data = { to = \"you\" }\n")
	}
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{
			Config: config("one"),
			Check:  resource.TestCheckResourceAttrPair(opened, "id", "oci_kms_encrypted_data.it", "id"),
			ConfigStateChecks: []statecheck.StateCheck{
				exactly(opened, "plaintext", inBase64("one")), exactly(opened, "plaintext_checksum", checksum([]byte("one"))),
				statecheck.ExpectSensitiveValue(opened, tfjsonpath.New("plaintext")),
				statecheck.ExpectSensitiveValue(opened, tfjsonpath.New("plaintext_checksum")),
			},
		},
		{
			PreConfig: func() { w.rotate(t, key) }, Config: config("one"), ConfigPlanChecks: unchanged(),
			ConfigStateChecks: []statecheck.StateCheck{exactly(opened, "plaintext", inBase64("one"))},
		},
		{Config: config("two"), ConfigStateChecks: []statecheck.StateCheck{exactly(opened, "plaintext", inBase64("two"))}},
		{
			Config: w.used(`data "oci_kms_encrypted_data"`, key, fmt.Sprintf("  plaintext = %q\n", inBase64("three"))),
			Check:  w.opens(t, sealed, "three", nil),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectSensitiveValue(sealed, tfjsonpath.New("plaintext")),
			},
		},
	}})
}

func TestCryptoData_Refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, other := *w.createKey(t).Id, *w.createKey(t).Id
	const encrypt, decrypt = `data "oci_kms_encrypted_data"`, `data "oci_kms_decrypted_data"`
	sealed := w.used(`resource "oci_kms_encrypted_data"`, key, "  plaintext = \"AAAA\"\n  associated_data = { to = \"you\" }\n")
	const ciphertext = "  ciphertext = oci_kms_encrypted_data.it.ciphertext\n"
	w.refuses(t, map[string]refusal{
		"no plaintext":          {w.used(encrypt, key, ""), `"plaintext" is required`},
		"plaintext is none":     {w.used(encrypt, key, `plaintext = "?"`), `It must be given in base64`},
		"bound to null":         {w.used(encrypt, key, "plaintext = \"AAAA\"\nassociated_data = { a = null }"), `Value is null`},
		"unknown key":           {w.used(encrypt, key[:len(key)-1]+"x", `plaintext = "AAAA"`), `Check the OCID`},
		"no ciphertext":         {w.used(decrypt, key, ""), `"ciphertext" is required`},
		"ciphertext is none":    {w.used(decrypt, key, `ciphertext = "?"`), `It must be given in base64`},
		"ciphertext of nobody":  {w.used(decrypt, key, `ciphertext = "AAAA"`), `Decrypt at`},
		"key of another":        {sealed + w.used(decrypt, other, ciphertext+`associated_data = { to = "you" }`), `Decrypting with key ` + other},
		"without what it bound": {sealed + w.used(decrypt, key, ciphertext), `Decrypting with key ` + key},
		"wrong endpoint":        {fmt.Sprintf("%s \"it\" {\n crypto_endpoint = \"%s/\"\n key_id = %q\n ciphertext = \"AAAA\"\n}", decrypt, w.OCI.CryptoEndpoint, key), `ends with a slash`},
	})
}
