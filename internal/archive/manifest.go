// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"time"

	"claviger/internal/keys"
)

// Kind tells what an archive is a backup of.
type Kind string

// The kinds.
const (
	KindKey   Kind = "key"   // one key with its versions
	KindVault Kind = "vault" // one vault, with or without its keys
	KindStore Kind = "store" // everything; see [NewStoreWriter]
)

// Manifest says what an archive holds. It stands in the clear at its beginning, for whoever looks
// for the right file, and is authenticated with the rest: it counts once the whole archive has
// been read with its key.
type Manifest struct {
	ID        keys.ID     `json:"id"` // of this archive
	Kind      Kind        `json:"kind"`
	CreatedAt time.Time   `json:"createdAt"` // domain time
	Revision  int64       `json:"revision"`  // the store's revision that all of it is of
	Region    keys.Region `json:"region"`    // "" for a store
	Tenants   []Named     `json:"tenants"`   // whose it is; none of a store
	Vault     *Named      `json:"vault,omitempty"`
	Key       *Named      `json:"key,omitempty"`
	WithKeys  bool        `json:"withKeys"` // false for a vault without its keys; its wrapping key is always there
	Counts    Counts      `json:"counts"`
	Software  string      `json:"software"` // the release that wrote it
}

// Named is a record's ID with its name at the time.
type Named struct {
	ID   keys.ID `json:"id"`
	Name string  `json:"name"`
}

// Counts are an archive's numbers of records, tombstones and hidden keys included.
type Counts struct {
	Vaults   int `json:"vaults"`
	Keys     int `json:"keys"`
	Versions int `json:"versions"`
}
