terraform import oci_kms_key.test_key "managementEndpoint/{managementEndpoint}/keys/{keyId}"
