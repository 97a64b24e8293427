data "oci_kms_encrypted_data" "now" {
  crypto_endpoint = oci_kms_vault.test_vault.crypto_endpoint
  key_id          = oci_kms_key.test_key.id
  plaintext       = base64encode("4111 1111 1111 1111")
}
