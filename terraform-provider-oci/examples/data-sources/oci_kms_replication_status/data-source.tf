data "oci_kms_vault" "replicated" {
  vault_id = oci_kms_vault_replication.test_vault_replication.vault_id
}

data "oci_kms_replication_status" "of_vault" {
  replication_id      = data.oci_kms_vault.replicated.replica_details[0].replication_id
  management_endpoint = data.oci_kms_vault.replicated.management_endpoint
}
