terraform {
  required_providers {
    oci = {
      source = "oracle/oci"
    }
  }
}

provider "oci" {}

variable "compartment_id" {
  description = "The compartment that the keys are made in."
  type        = string
}

variable "vault_id" {
  description = "The vault that the keys are made in."
  type        = string
}

data "oci_kms_vault" "payments" {
  vault_id = var.vault_id
}

resource "oci_kms_key" "card_numbers" {
  compartment_id      = var.compartment_id
  display_name        = "card numbers"
  management_endpoint = data.oci_kms_vault.payments.management_endpoint
  protection_mode     = "SOFTWARE"

  key_shape {
    algorithm = "AES"
    length    = 32 # bytes
  }

  is_auto_rotation_enabled = true
  auto_key_rotation_details {
    rotation_interval_in_days = 90
  }
}

resource "oci_kms_key" "receipts" {
  compartment_id      = var.compartment_id
  display_name        = "signatures of receipts"
  management_endpoint = data.oci_kms_vault.payments.management_endpoint
  protection_mode     = "SOFTWARE"

  key_shape {
    algorithm = "ECDSA"
    length    = 32
    curve_id  = "NIST_P256"
  }
}

data "oci_kms_key_version" "receipts" {
  key_id              = oci_kms_key.receipts.id
  key_version_id      = oci_kms_key.receipts.current_key_version
  management_endpoint = data.oci_kms_vault.payments.management_endpoint
}

output "next_rotation_of_card_numbers" {
  value = oci_kms_key.card_numbers.auto_key_rotation_details[0].time_of_next_rotation
}

output "public_key_of_receipts" {
  value = data.oci_kms_key_version.receipts.public_key
}
