data "oci_kms_key_version" "current" {
  key_id              = oci_kms_key.test_key.id
  key_version_id      = oci_kms_key.test_key.current_key_version
  management_endpoint = oci_kms_vault.test_vault.management_endpoint
}
