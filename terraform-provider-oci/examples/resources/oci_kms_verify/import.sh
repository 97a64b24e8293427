terraform import oci_kms_verify.test_verify {signature}
