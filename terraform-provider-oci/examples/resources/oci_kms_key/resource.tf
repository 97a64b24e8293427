resource "oci_kms_key" "test_key" {
  compartment_id      = var.compartment_id
  display_name        = "card numbers"
  management_endpoint = oci_kms_vault.test_vault.management_endpoint

  key_shape {
    algorithm = "AES"
    length    = 32 # bytes
  }

  # A new version every 90 days.
  is_auto_rotation_enabled = true
  auto_key_rotation_details {
    rotation_interval_in_days = 90
  }
}
