ephemeral "oci_kms_generated_key" "for_one_apply" {
  crypto_endpoint = oci_kms_vault.test_vault.crypto_endpoint
  key_id          = oci_kms_key.test_key.id

  key_shape {
    algorithm = "AES"
    length    = 32 # bytes
  }
}
