resource "oci_kms_vault_replication" "test_vault_replication" {
  vault_id       = oci_kms_vault.test_vault.id
  replica_region = "us-phoenix-1"
}
