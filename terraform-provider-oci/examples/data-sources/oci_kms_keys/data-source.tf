data "oci_kms_keys" "in_use" {
  compartment_id      = var.compartment_id
  management_endpoint = oci_kms_vault.test_vault.management_endpoint
  algorithm           = "AES"

  filter {
    name   = "state"
    values = ["ENABLED"]
  }
}
