// SPDX-License-Identifier: Apache-2.0

// Package archive is the one format of backups: of a key, of a vault, and of a whole store.
package archive
