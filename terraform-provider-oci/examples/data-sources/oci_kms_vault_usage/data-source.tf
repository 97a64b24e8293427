data "oci_kms_vault_usage" "payments" {
  vault_id = oci_kms_vault.test_vault.id
}
