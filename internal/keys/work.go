// SPDX-License-Identifier: Apache-2.0

package keys

import "time"

// WorkStatus is how far a work request has come.
type WorkStatus string

// The statuses of work requests. The last two are final.
const (
	WorkAccepted   WorkStatus = "ACCEPTED"
	WorkInProgress WorkStatus = "IN_PROGRESS"
	WorkSucceeded  WorkStatus = "SUCCEEDED"
	WorkFailed     WorkStatus = "FAILED"
)

// WorkEffect is what a work request that succeeds has done to a resource.
type WorkEffect string

// The effects.
const (
	WorkCreated WorkEffect = "CREATED"
	WorkUpdated WorkEffect = "UPDATED"
	WorkDeleted WorkEffect = "DELETED"
	WorkRelated WorkEffect = "RELATED" // it was read, or is what the others belong to
)

// WorkRequest is what can be known of an operation that may go on after its answer. Its parts
// that name something outlive what they name.
type WorkRequest struct {
	ID, Tenant, Compartment ID
	Vault                   ID // that it is about; rights on the vault reach it
	Region                  Region
	Action                  Action // what is done
	Status                  WorkStatus
	Percent                 int // of the work that is done, 0 to 100
	Resources               []WorkResource
	Errors                  []WorkNote // why it failed; none otherwise
	Logs                    []WorkNote // what it did, oldest first
	Creator                 ID         // principal; zero for the server itself
	Owner                   string     // the node that does the work, also once it is done
	CreatedAt               time.Time
	StartedAt               time.Time
	FinishedAt              time.Time
	Revision                int64
}

// Finished reports whether the work is over, one way or the other.
func (w *WorkRequest) Finished() bool { return !w.FinishedAt.IsZero() }

// WorkResource is a thing that a work request affects.
type WorkResource struct {
	Type   Type // TypeVault, TypeKey
	ID     ID
	Vault  ID     // of a key; of a vault its own
	Region Region // where it is, which may be another region than the request's
	Effect WorkEffect
}

// WorkNote is one line of a work request's log or errors. It never holds a secret.
type WorkNote struct {
	At    time.Time
	Kind  Kind   // of an error, as are Noun and Field; "" in logs
	Noun  Type   // as in [Error]
	Field string // as in [Error]
	Text  string // for people: of an error the hint
}
