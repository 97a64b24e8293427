terraform {
  required_providers {
    oci = {
      source = "oracle/oci"
    }
  }
}

provider "oci" {}

variable "compartment_id" {
  description = "The compartment that the key is made in."
  type        = string
}

variable "vault_id" {
  description = "The vault that the key is made in."
  type        = string
}

# A new name makes a new version, which becomes the current one: add one name at a time. Once what was
# encrypted under an old version has been encrypted anew, take its name away; the current version's stays.
variable "versions" {
  description = "A name for each version of the key that shall be there."
  type        = set(string)
  default     = ["2026-summer"]
}

variable "delete_at" {
  description = "When versions whose names are taken away are to be deleted (RFC 3339), 7 to 30 days ahead; null means after 30 days."
  type        = string
  default     = null
}

data "oci_kms_vault" "archive" {
  vault_id = var.vault_id
}

resource "oci_kms_key" "archive" {
  compartment_id      = var.compartment_id
  display_name        = "archive"
  management_endpoint = data.oci_kms_vault.archive.management_endpoint
  protection_mode     = "SOFTWARE"

  key_shape {
    algorithm = "AES"
    length    = 32 # bytes
  }
}

resource "oci_kms_key_version" "archive" {
  for_each            = var.versions
  key_id              = oci_kms_key.archive.id
  management_endpoint = data.oci_kms_vault.archive.management_endpoint
  time_of_deletion    = var.delete_at
}

output "versions" {
  value = { for name, version in oci_kms_key_version.archive : name => version.id }
}
