// SPDX-License-Identifier: Apache-2.0

package keys

import "time"

// Profile holds the numbers in which clouds differ. Each dialect declares one and the core
// enforces it; a zero maximum means no limit.
type Profile struct {
	Dialect string // "oci", "alibaba": also the key of [Names]

	KeyRetention     Window // from scheduling to erasure
	VersionRetention Window
	VaultRetention   Window
	RotationInterval Window

	// VersionSpacing is the least time between two versions of a key made by hand; 0: none.
	VersionSpacing time.Duration
	// AsymmetricRotationOnly refuses making versions of symmetric keys by hand.
	AsymmetricRotationOnly bool
	// RotateImported lets keys of imported material have further versions, made by hand and by the clock.
	RotateImported bool
	// AsymmetricVersions is the most asymmetric key versions per tenant and region; 0: no limit.
	AsymmetricVersions int

	KeysPerRegion    int // per tenant and region
	AliasesPerRegion int // per tenant and region
	VaultsPerRegion  int // per tenant and region

	// SessionLife is how long a session may last; zero: up to the server's own maximum.
	SessionLife Window
	// Replicas shows a vault in the region of its replica too, as that replica.
	Replicas bool

	TokenLife       time.Duration // of idempotency tokens
	ImportTokenLife time.Duration // from asking for the parameters of an import to importing
	MaxTags         int           // plain tags per resource
}

// Window is a range of durations with a default.
type Window struct{ Min, Max, Default time.Duration }

// Day is 24 hours.
const Day = 24 * time.Hour

// Contains reports whether d lies in the window, both ends included.
func (w Window) Contains(d time.Duration) bool { return d >= w.Min && d <= w.Max }
