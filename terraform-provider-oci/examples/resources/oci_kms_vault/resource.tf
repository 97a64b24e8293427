resource "oci_kms_vault" "test_vault" {
  compartment_id = var.compartment_id
  display_name   = "payments"
  vault_type     = "DEFAULT"

  freeform_tags = { team = "payments" }
}
