ephemeral "oci_kms_decrypted_data" "data_key" {
  crypto_endpoint = oci_kms_vault.test_vault.crypto_endpoint
  key_id          = oci_kms_key.test_key.id
  ciphertext      = oci_kms_generated_key.test_generated_key.ciphertext
}
