// SPDX-License-Identifier: Apache-2.0

// Package oci speaks the REST API of Oracle Cloud Infrastructure Vault (key management,
// version 20180608): its HTTP signatures, its identifiers, its table of operations, its wire
// types and its errors. Unmodified OCI SDKs, CLIs and Terraform providers are the clients.
//
// Three services share the path prefix /20180608. The vault service answers on a region's
// base URL; management and crypto answer on each vault's own base URL, which is the only
// thing that tells which vault a request is about.
//
// Nothing here decides about keys: every operation calls one use case of package kms and
// converts. Where Oracle's behaviour is unknown or ours differs, docs/divergences-oci.md says so.
package oci
