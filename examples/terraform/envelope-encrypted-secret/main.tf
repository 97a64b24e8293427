terraform {
  required_version = ">= 1.10" # OpenTofu: 1.11; from there on there are ephemeral resources

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

variable "password" {
  description = "A secret of at most 4096 bytes. It lies in the state, marked sensitive."
  type        = string
  sensitive   = true
  default     = "change me"
}

locals {
  # Whoever decrypts must say it, so that a ciphertext cannot be put in another's place.
  purpose = { database = "orders" }
}

data "oci_kms_vault" "orders" {
  vault_id = var.vault_id
}

resource "oci_kms_key" "envelopes" {
  compartment_id      = var.compartment_id
  display_name        = "envelopes"
  management_endpoint = data.oci_kms_vault.orders.management_endpoint
  protection_mode     = "SOFTWARE"

  key_shape {
    algorithm = "AES"
    length    = 32 # bytes
  }
}

# What is small is encrypted by the vault's key itself.
resource "oci_kms_encrypted_data" "password" {
  crypto_endpoint = data.oci_kms_vault.orders.crypto_endpoint
  key_id          = oci_kms_key.envelopes.id
  plaintext       = base64encode(var.password)
  associated_data = local.purpose
}

# What is large is encrypted by a program, with a key of its own that only the vault's key opens: the
# program keeps this key's ciphertext beside the data. The key itself is never in the state.
resource "oci_kms_generated_key" "data_key" {
  crypto_endpoint       = data.oci_kms_vault.orders.crypto_endpoint
  key_id                = oci_kms_key.envelopes.id
  include_plaintext_key = false
  associated_data       = local.purpose

  key_shape {
    algorithm = "AES"
    length    = 32
  }
}

# For provider blocks and write-only arguments the data key is opened during the run alone.
ephemeral "oci_kms_decrypted_data" "data_key" {
  crypto_endpoint = data.oci_kms_vault.orders.crypto_endpoint
  key_id          = oci_kms_key.envelopes.id
  ciphertext      = oci_kms_generated_key.data_key.ciphertext
  associated_data = local.purpose
}

output "encrypted_password" {
  value = oci_kms_encrypted_data.password.ciphertext
}

output "encrypted_data_key" {
  value = oci_kms_generated_key.data_key.ciphertext
}
