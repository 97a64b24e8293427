terraform import oci_kms_vault_replication.test_vault_replication "{vaultId}:{replicaRegion}"
