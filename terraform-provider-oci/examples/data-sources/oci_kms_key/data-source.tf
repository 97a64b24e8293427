data "oci_kms_key" "by_id" {
  key_id              = oci_kms_key.test_key.id
  management_endpoint = oci_kms_vault.test_vault.management_endpoint
}
