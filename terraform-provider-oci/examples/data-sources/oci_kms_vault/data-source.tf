data "oci_kms_vault" "by_id" {
  vault_id = oci_kms_vault.test_vault.id
}
