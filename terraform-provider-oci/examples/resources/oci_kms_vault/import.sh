terraform import oci_kms_vault.test_vault {vaultId}
