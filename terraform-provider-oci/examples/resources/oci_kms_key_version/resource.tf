resource "oci_kms_key_version" "test_key_version" {
	#Required
	key_id = "${oci_kms_key.test_key.id}"
	management_endpoint = "${var.key_version_management_endpoint}"
}
