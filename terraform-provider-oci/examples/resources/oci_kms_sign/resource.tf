resource "oci_kms_key" "test_signing_key" {
  compartment_id      = var.compartment_id
  display_name        = "signatures"
  management_endpoint = oci_kms_vault.test_vault.management_endpoint

  key_shape {
    algorithm = "ECDSA"
    length    = 32 # bytes
    curve_id  = "NIST_P256"
  }
}

resource "oci_kms_sign" "test_sign" {
  crypto_endpoint   = oci_kms_vault.test_vault.crypto_endpoint
  key_id            = oci_kms_key.test_signing_key.id
  message           = base64encode("release 1.2.3")
  signing_algorithm = "ECDSA_SHA_256"
}
