terraform {
  required_providers {
    oci = {
      source = "oracle/oci"
    }
  }
}

provider "oci" {}

variable "compartment_id" {
  description = "The compartment that the vault is made in; the tenancy is its own root compartment."
  type        = string
}

resource "oci_kms_vault" "payments" {
  compartment_id = var.compartment_id
  display_name   = "payments"
  vault_type     = "DEFAULT"

  freeform_tags = {
    team = "payments"
  }
}

output "vault_id" {
  value = oci_kms_vault.payments.id
}

# Keys are made and changed at one address, and used at the other.

output "management_endpoint" {
  value = oci_kms_vault.payments.management_endpoint
}

output "crypto_endpoint" {
  value = oci_kms_vault.payments.crypto_endpoint
}
