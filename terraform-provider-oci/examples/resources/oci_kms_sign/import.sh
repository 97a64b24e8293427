terraform import oci_kms_sign.test_sign {keyId}
