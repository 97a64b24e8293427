resource "oci_kms_generated_key" "test_generated_key" {
  crypto_endpoint       = oci_kms_vault.test_vault.crypto_endpoint
  key_id                = oci_kms_key.test_key.id
  include_plaintext_key = false # the state has the encrypted key alone

  key_shape {
    algorithm = "AES"
    length    = 32 # bytes
  }
}
