data "oci_kms_vaults" "of_payments" {
  compartment_id = var.compartment_id

  filter {
    name   = "freeform_tags.team"
    values = ["payments"]
  }
}
