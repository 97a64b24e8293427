terraform {
  required_providers {
    oci = {
      source = "oracle/oci"
    }
  }
}

# Without arguments the provider takes the profile DEFAULT of ~/.oci/config.
provider "oci" {
  tenancy_ocid     = var.tenancy_ocid
  user_ocid        = var.user_ocid
  fingerprint      = var.fingerprint
  private_key_path = var.private_key_path
  region           = var.region
}
