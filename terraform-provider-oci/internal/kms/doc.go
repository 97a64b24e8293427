// SPDX-License-Identifier: Apache-2.0

// Package kms holds the resources and data sources named oci_kms_*, one per file. Their schemas are
// those of Oracle's provider 8.28, so that configurations and state made with it can be kept; where
// its page on a resource promises more than it does, the page is followed.
//
// They wait for a state and never for a time, and they never put a secret into a diagnostic.
package kms
