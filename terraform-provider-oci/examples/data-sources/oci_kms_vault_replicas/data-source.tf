data "oci_kms_vault_replicas" "all" {
  vault_id = oci_kms_vault_replication.test_vault_replication.vault_id
}
