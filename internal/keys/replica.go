// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"slices"
	"time"
)

// Replica is a second place of a vault: an endpoint in another region at which the vault and its
// keys can be read and used, and not changed. It holds no copy of anything, so that whatever
// happens to the vault or a key has happened to its replica too. A vault has at most one; which
// one it is, is what the vault says ([Vault].Replica).
type Replica struct {
	ID, Tenant, Vault ID
	Region            Region // where it is, which is not where the vault is
	Endpoint          string // what tells its base URL apart, as with a vault's
	State             State  // Active; Deleted keeps the endpoint from being given away too soon
	DeleteAt          time.Time
	CreatedAt         time.Time
	Revision          int64
}

// throughReplica lists what can be done through a replica: read, and use keys.
var throughReplica = []Action{
	ReadVault, ListVaults, ReadReplica,
	ReadKey, ListKeys, ReadVersion, ListVersions, ReadPublicKey,
	Encrypt, Decrypt, GenerateDataKey, Sign, Verify, ExportKey,
}

// ThroughReplica reports whether a vault's replica takes the action. What it does not take has to
// be asked for in the vault's own region.
func ThroughReplica(action Action) bool { return slices.Contains(throughReplica, action) }
