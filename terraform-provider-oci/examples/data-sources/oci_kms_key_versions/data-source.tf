data "oci_kms_key_versions" "to_be_deleted" {
  key_id              = oci_kms_key.test_key.id
  management_endpoint = oci_kms_vault.test_vault.management_endpoint

  filter {
    name   = "state"
    values = ["PENDING_DELETION"]
  }
}
