data "oci_kms_decrypted_data" "card" {
  crypto_endpoint = oci_kms_vault.test_vault.crypto_endpoint
  key_id          = oci_kms_key.test_key.id
  ciphertext      = oci_kms_encrypted_data.test_encrypted_data.ciphertext
  associated_data = { customer = "4711" }
}

output "card" {
  value     = base64decode(data.oci_kms_decrypted_data.card.plaintext)
  sensitive = true
}
