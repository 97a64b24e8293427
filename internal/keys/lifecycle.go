// SPDX-License-Identifier: Apache-2.0

package keys

// State is the lifecycle state of a vault, key or key version. Not every noun has every state.
type State string

// The states.
const (
	Active          State = "ACTIVE"             // vaults
	PendingImport   State = "PENDING_IMPORT"     // keys whose material is yet to come, or gone and may come again; their versions
	Enabled         State = "ENABLED"            // keys, versions
	Disabled        State = "DISABLED"           // keys
	PendingDeletion State = "PENDING_DELETION"   // all: unusable, erased when the retention ends
	Deleted         State = "DELETED"            // all: erased, only the tombstone is left
	Restoring       State = "RESTORING"          // vaults, keys: a backup is being restored, part of it may be there
	BackingUp       State = "BACKUP_IN_PROGRESS" // vaults, keys: shown over the state that counts; no record has it
)

// Action is one thing that can be done to a vault, key or version, as the lifecycle and the
// authorization see it. Clouds that differ in meaning have an action each.
type Action string

// Actions on vaults.
const (
	CreateVault           Action = "CreateVault"
	ReadVault             Action = "ReadVault"
	ListVaults            Action = "ListVaults"
	UpdateVault           Action = "UpdateVault"
	MoveVault             Action = "MoveVault" // to another compartment
	ScheduleVaultDeletion Action = "ScheduleVaultDeletion"
	CancelVaultDeletion   Action = "CancelVaultDeletion"
	UseVault              Action = "UseVault" // create or change something inside
	BackupVault           Action = "BackupVault"
	RestoreVaultBackup    Action = "RestoreVaultBackup"
	CreateReplica         Action = "CreateReplica"
	DeleteReplica         Action = "DeleteReplica"
	ResealVault           Action = "ResealVault" // replace its KEK: everything in it is sealed anew
	RotateRoot            Action = "RotateRoot"  // replace the root key and every KEK above the vaults'
	ReadReplica           Action = "ReadReplica" // where the vault's replica is, and how far it has come
)

// Actions on keys.
const (
	CreateKey           Action = "CreateKey"
	ReadKey             Action = "ReadKey"
	ListKeys            Action = "ListKeys"
	UpdateKey           Action = "UpdateKey"
	MoveKey             Action = "MoveKey"       // to another compartment
	EnableKey           Action = "EnableKey"     // refused when it is enabled already
	DisableKey          Action = "DisableKey"    // refused when it is disabled already
	EnsureEnabled       Action = "EnsureEnabled" // enabling an enabled key succeeds
	EnsureDisabled      Action = "EnsureDisabled"
	ScheduleKeyDeletion Action = "ScheduleKeyDeletion"
	CancelKeyDeletion   Action = "CancelKeyDeletion" // back to the state before
	RestoreKey          Action = "RestoreKey"        // cancels the deletion and enables, whatever the state was before, if there is material
	SetRotation         Action = "SetRotation"
	SetProtection       Action = "SetProtection" // deletion protection
	TagKey              Action = "TagKey"
	Rotate              Action = "Rotate" // make a new version
	CreateAlias         Action = "CreateAlias"
	UpdateAlias         Action = "UpdateAlias"
	DeleteAlias         Action = "DeleteAlias"
	ListAliases         Action = "ListAliases"
	Encrypt             Action = "Encrypt"
	Decrypt             Action = "Decrypt"
	GenerateDataKey     Action = "GenerateDataKey"
	Sign                Action = "Sign"
	Verify              Action = "Verify"
	GenerateMAC         Action = "GenerateMAC"
	VerifyMAC           Action = "VerifyMAC"
	ReadPublicKey       Action = "ReadPublicKey"
	ExportKey           Action = "ExportKey" // give material out, wrapped
	// Of keys whose one version is of imported material.
	ReadImportParameters Action = "ReadImportParameters"
	ImportMaterial       Action = "ImportMaterial"
	DeleteMaterial       Action = "DeleteMaterial"
	BackupKey            Action = "BackupKey"
	RestoreKeyBackup     Action = "RestoreKeyBackup" // RestoreKey is another thing
)

// Actions for the record only: who may, and when, is that of the actions that they are made of.
const (
	ReEncrypt     Action = "ReEncrypt"     // Decrypt with one key, Encrypt with another
	ExportDataKey Action = "ExportDataKey" // Decrypt, into a foreign public key
)

// Actions on key versions.
const (
	ReadVersion             Action = "ReadVersion"
	ListVersions            Action = "ListVersions"
	UseVersion              Action = "UseVersion" // encrypt, decrypt, sign or verify with this version
	ScheduleVersionDeletion Action = "ScheduleVersionDeletion"
	CancelVersionDeletion   Action = "CancelVersionDeletion"
)

// Actions on tenants, for authorization only: they have no lifecycle.
const (
	ReadWork       Action = "ReadWork" // work requests, with their errors and logs
	ListWork       Action = "ListWork"
	ManageIdentity Action = "ManageIdentity" // tenants, principals, credentials, roles, grants
	ReadIdentity   Action = "ReadIdentity"
	ReadAudit      Action = "ReadAudit"
	Assume         Action = "Assume" // act as another principal of the tenant, for a session
)

// Rule is one row of a lifecycle table.
type Rule struct {
	Action Action
	From   []State // the effective states in which the action is allowed
	To     State   // the state after it; "" leaves it, Previous and Ready depend
}

// Previous, as the To of a [Rule], is the state before the deletion was scheduled, or the one that
// a backup was made in. Ready is Enabled, unless the state before was PendingImport: then it is that.
const (
	Previous State = "PREVIOUS"
	Ready    State = "READY"
)

// Table is the state machine of one noun. An action may have several rules, which have no state
// in common.
type Table struct {
	Noun  Type
	Rules []Rule
}

var any4 = []State{PendingImport, Enabled, Disabled, PendingDeletion}

// VaultLifecycle is the state machine of vaults; nothing else knows its rules.
var VaultLifecycle = Table{TypeVault, []Rule{
	{CreateVault, nil, Active},
	{RestoreVaultBackup, []State{Restoring}, Active},
	{ReadVault, []State{Active, PendingDeletion, Deleted, Restoring}, ""},
	{UseVault, []State{Active}, ""},
	{UpdateVault, []State{Active}, ""},
	{MoveVault, []State{Active}, ""},
	{ScheduleVaultDeletion, []State{Active}, PendingDeletion},
	{CancelVaultDeletion, []State{PendingDeletion}, Active},
	{BackupVault, []State{Active}, ""},
	{ResealVault, []State{Active, PendingDeletion}, ""},
	{CreateReplica, []State{Active}, ""},
	{DeleteReplica, []State{Active, PendingDeletion}, ""},
	{ReadReplica, []State{Active, PendingDeletion, Deleted}, ""},
}}

// KeyLifecycle is the state machine of keys; nothing else knows its rules.
var KeyLifecycle = Table{TypeKey, []Rule{
	{CreateKey, nil, Enabled},
	{RestoreKeyBackup, []State{Restoring}, Previous},
	{ReadKey, append([]State{Deleted, Restoring}, any4...), ""},
	{ListVersions, append([]State{Deleted}, any4...), ""},
	{ReadVersion, append([]State{Deleted}, any4...), ""},
	{UpdateKey, []State{PendingImport, Enabled, Disabled}, ""},
	{TagKey, []State{PendingImport, Enabled, Disabled}, ""},
	{MoveKey, []State{PendingImport, Enabled, Disabled}, ""},
	{EnableKey, []State{Disabled}, Enabled},
	{DisableKey, []State{Enabled}, Disabled},
	{EnsureEnabled, []State{Enabled, Disabled}, Enabled},
	{EnsureDisabled, []State{Enabled, Disabled}, Disabled},
	{ScheduleKeyDeletion, []State{PendingImport, Enabled, Disabled}, PendingDeletion},
	{CancelKeyDeletion, []State{PendingDeletion}, Previous},
	{RestoreKey, []State{PendingDeletion}, Ready},
	{SetRotation, []State{Enabled}, ""},
	{SetProtection, []State{PendingImport, Enabled, Disabled}, ""},
	{Rotate, []State{Enabled}, ""},
	{ScheduleVersionDeletion, []State{Enabled, Disabled}, ""},
	{CancelVersionDeletion, []State{Enabled, Disabled}, ""},
	{CreateAlias, []State{PendingImport, Enabled, Disabled}, ""},
	{UpdateAlias, []State{PendingImport, Enabled, Disabled}, ""},
	{DeleteAlias, any4, ""},
	{ListAliases, any4, ""},
	{Encrypt, []State{Enabled}, ""},
	{Decrypt, []State{Enabled}, ""},
	{GenerateDataKey, []State{Enabled}, ""},
	{Sign, []State{Enabled}, ""},
	{Verify, []State{Enabled}, ""},
	{GenerateMAC, []State{Enabled}, ""},
	{VerifyMAC, []State{Enabled}, ""},
	{ReadPublicKey, []State{Enabled}, ""},
	{ExportKey, []State{Enabled}, ""},
	{ReadImportParameters, any4, ""},
	{ImportMaterial, []State{PendingImport}, Enabled},
	{ImportMaterial, []State{Enabled, Disabled}, ""},
	{DeleteMaterial, []State{Enabled, Disabled}, PendingImport},
	{DeleteMaterial, []State{PendingImport, PendingDeletion}, ""},
	{BackupKey, []State{PendingImport, Enabled, Disabled}, ""},
}}

// VersionLifecycle is the state machine of key versions; nothing else knows its rules.
var VersionLifecycle = Table{TypeVersion, []Rule{
	{Rotate, nil, Enabled},
	{ImportMaterial, nil, Enabled},
	{ImportMaterial, []State{PendingImport}, Enabled},
	{ImportMaterial, []State{Enabled}, ""},
	{DeleteMaterial, []State{Enabled}, PendingImport},
	{DeleteMaterial, []State{PendingImport}, ""},
	{ReadVersion, []State{PendingImport, Enabled, PendingDeletion, Deleted}, ""},
	{UseVersion, []State{Enabled}, ""},
	{ScheduleVersionDeletion, []State{Enabled}, PendingDeletion},
	{CancelVersionDeletion, []State{PendingDeletion}, Enabled},
}}

// ForHidden reports whether a hidden key may be the object of an action: who knows its id reads
// it, and that is all.
func ForHidden(a Action) bool {
	switch a {
	case ReadKey, ReadVersion, ListVersions, ListAliases:
		return true
	default:
		return false
	}
}

// Step answers the state after action in state now. previous is the state before a
// scheduled deletion, used where the rule says [Previous] or [Ready]. An action that the table does
// not have, or not from this state, is KindState.
func (t Table) Step(action Action, now, previous State) (State, error) {
	for _, r := range t.Rules {
		if r.Action != action {
			continue
		}
		for _, from := range r.From {
			if from != now {
				continue
			}
			switch r.To {
			case "":
				return now, nil
			case Previous:
				return previous, nil
			case Ready:
				if previous == PendingImport {
					return previous, nil
				}
				return Enabled, nil
			default:
				return r.To, nil
			}
		}
	}
	return now, &Error{
		Kind: KindState, Noun: t.Noun, State: now, Action: action,
		Hint: string(action) + " is not allowed while the " + string(t.Noun) + " is " + string(now),
	}
}

// Allowed reports whether action is allowed in state now.
func (t Table) Allowed(action Action, now State) bool {
	_, err := t.Step(action, now, Enabled)
	return err == nil
}
