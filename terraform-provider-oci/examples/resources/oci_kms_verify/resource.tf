resource "oci_kms_verify" "test_verify" {
  crypto_endpoint   = oci_kms_vault.test_vault.crypto_endpoint
  key_id            = oci_kms_key.test_signing_key.id
  key_version_id    = oci_kms_sign.test_sign.key_version_id
  message           = base64encode("release 1.2.3")
  signature         = oci_kms_sign.test_sign.signature
  signing_algorithm = "ECDSA_SHA_256"

  lifecycle {
    postcondition {
      condition     = self.is_signature_valid
      error_message = "The release is not signed by us."
    }
  }
}
