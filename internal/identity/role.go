// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"slices"

	"claviger/internal/keys"
)

// Role is a named set of actions.
type Role string

// The roles. Admin may do everything, and alone takes key material out. Operator manages vaults,
// keys and versions, and uses no key. User uses keys and reads them, and manages nothing. Auditor
// reads everything that is not a secret, the audit log included.
const (
	Admin    Role = "admin"
	Operator Role = "operator"
	User     Role = "user"
	Auditor  Role = "auditor"
)

// Roles lists every role.
func Roles() []Role { return []Role{Admin, Operator, User, Auditor} }

// Valid reports whether r is a known role.
func (r Role) Valid() bool { return slices.Contains(Roles(), r) }

// roleActions is the one table of rights: action → the roles that have it.
var roleActions = map[keys.Action][]Role{
	keys.CreateVault:           {Admin, Operator},
	keys.ReadVault:             {Admin, Operator, User, Auditor},
	keys.ListVaults:            {Admin, Operator, User, Auditor},
	keys.UpdateVault:           {Admin, Operator},
	keys.MoveVault:             {Admin, Operator},
	keys.ScheduleVaultDeletion: {Admin, Operator},
	keys.CancelVaultDeletion:   {Admin, Operator},
	keys.BackupVault:           {Admin, Operator},
	keys.RestoreVaultBackup:    {Admin, Operator},
	keys.ResealVault:           {}, // the server's own administrator alone
	keys.RotateRoot:            {},
	keys.CreateReplica:         {Admin, Operator},
	keys.DeleteReplica:         {Admin, Operator},
	keys.ReadReplica:           {Admin, Operator, User, Auditor},

	keys.CreateKey:               {Admin, Operator},
	keys.ReadKey:                 {Admin, Operator, User, Auditor},
	keys.ListKeys:                {Admin, Operator, User, Auditor},
	keys.UpdateKey:               {Admin, Operator},
	keys.MoveKey:                 {Admin, Operator},
	keys.EnableKey:               {Admin, Operator},
	keys.DisableKey:              {Admin, Operator},
	keys.EnsureEnabled:           {Admin, Operator},
	keys.EnsureDisabled:          {Admin, Operator},
	keys.ScheduleKeyDeletion:     {Admin, Operator},
	keys.CancelKeyDeletion:       {Admin, Operator},
	keys.RestoreKey:              {Admin, Operator},
	keys.SetRotation:             {Admin, Operator},
	keys.SetProtection:           {Admin, Operator},
	keys.TagKey:                  {Admin, Operator},
	keys.Rotate:                  {Admin, Operator},
	keys.CreateAlias:             {Admin, Operator},
	keys.UpdateAlias:             {Admin, Operator},
	keys.DeleteAlias:             {Admin, Operator},
	keys.ListAliases:             {Admin, Operator, User, Auditor},
	keys.ReadVersion:             {Admin, Operator, User, Auditor},
	keys.ListVersions:            {Admin, Operator, User, Auditor},
	keys.ScheduleVersionDeletion: {Admin, Operator},
	keys.CancelVersionDeletion:   {Admin, Operator},
	keys.BackupKey:               {Admin, Operator},
	keys.RestoreKeyBackup:        {Admin, Operator},

	keys.Encrypt:         {Admin, User},
	keys.Decrypt:         {Admin, User},
	keys.GenerateDataKey: {Admin, User},
	keys.Sign:            {Admin, User},
	keys.Verify:          {Admin, User},
	keys.GenerateMAC:     {Admin, User},
	keys.VerifyMAC:       {Admin, User},
	keys.ReadPublicKey:   {Admin, Operator, User, Auditor},

	keys.ReadWork: {Admin, Operator, User, Auditor},
	keys.ListWork: {Admin, Operator, User, Auditor},

	// Who manages keys brings material in and takes it away. Giving it out ends every promise about
	// it, so that neither managing nor using keys is enough for that.
	keys.ReadImportParameters: {Admin, Operator},
	keys.ImportMaterial:       {Admin, Operator},
	keys.DeleteMaterial:       {Admin, Operator},
	keys.ExportKey:            {Admin},

	keys.ManageIdentity: {Admin},
	keys.ReadIdentity:   {Admin, Auditor},
	keys.ReadAudit:      {Admin, Auditor},
	keys.Assume:         {Admin},
}

// Actions lists every action that [Caller.May] knows; any other is denied to everybody.
func Actions() []keys.Action {
	out := make([]keys.Action, 0, len(roleActions))
	for a := range roleActions {
		out = append(out, a)
	}
	slices.Sort(out)
	return out
}

// Caller is an authenticated principal with its roles compiled, immutable.
type Caller struct {
	Principal  keys.ID
	Tenant     keys.ID
	Credential keys.ID
	Session    *Session // nil: the credential is a lasting one
	Name       string   // the principal's, for logs; in a session "principal/session"
	tenant     []Role
	vaults     map[keys.ID][]Role
	system     bool
}

// NewSystem is a caller that may do everything in every tenant: the server itself, acting
// for its schedule or for the holder of the admin API's token.
func NewSystem(name string) *Caller { return &Caller{Name: name, system: true} }

// System reports whether c is the server itself; nobody is not.
func (c *Caller) System() bool { return c != nil && c.system }

// IsAdmin reports whether c may administer its tenant.
func (c *Caller) IsAdmin() bool { return c.system || slices.Contains(c.tenant, Admin) }

// NewCaller compiles p's bindings. Bindings of other principals are ignored.
func NewCaller(p *Principal, credential keys.ID, bindings []*Binding) *Caller {
	c := &Caller{Principal: p.ID, Tenant: p.Tenant, Credential: credential, Name: p.Name}
	for _, b := range bindings {
		switch {
		case b.Principal != p.ID || b.Tenant != p.Tenant:
		case b.Vault.IsZero():
			c.tenant = append(c.tenant, b.Role)
		default:
			if c.vaults == nil {
				c.vaults = map[keys.ID][]Role{}
			}
			c.vaults[b.Vault] = append(c.vaults[b.Vault], b.Role)
		}
	}
	return c
}

// NewSessionCaller is [NewCaller] for the last principal of a session's chain.
func NewSessionCaller(p *Principal, s *Session, bindings []*Binding) *Caller {
	c := NewCaller(p, s.Credential, bindings)
	c.Session = s
	c.Name += "/" + s.Name
	return c
}

// Resource is what an action is about. Vault and Key are zero for actions on a whole tenant.
type Resource struct {
	Tenant keys.ID
	Vault  keys.ID
	Grants []*keys.Grant // of the key, when the caller is of another tenant
}

// May reports whether the caller is allowed action on r: by a role on the tenant or the
// vault within the caller's own tenant, by a grant outside of it. Roles do not reach across
// tenants, and a grant gives its actions to the other tenant's callers only as far as their
// own role on their tenant has them.
func (c *Caller) May(action keys.Action, r Resource) bool {
	if c.system {
		return true
	}
	allowed := roleActions[action]
	if c.Tenant == r.Tenant {
		return anyOf(c.tenant, allowed) || (!r.Vault.IsZero() && anyOf(c.vaults[r.Vault], allowed))
	}
	return anyOf(c.tenant, allowed) && c.Granted(action, r)
}

// MayAssume reports whether the caller may have a session as p: everybody as himself, those whom
// p lists, and the administrators of p's tenant. Nobody outside of the tenant may.
func (c *Caller) MayAssume(p *Principal) bool {
	if c.system {
		return true
	}
	if c.Tenant != p.Tenant {
		return false
	}
	return c.Principal == p.ID || slices.Contains(p.AssumableBy, c.Principal) || c.May(keys.Assume, Resource{Tenant: p.Tenant})
}

// Granted reports whether a grant of r names the caller's tenant and action.
func (c *Caller) Granted(action keys.Action, r Resource) bool {
	for _, g := range r.Grants {
		if g.Grantee == c.Tenant && slices.Contains(g.Actions, action) {
			return true
		}
	}
	return false
}

func anyOf(have, allowed []Role) bool {
	for _, r := range have {
		if slices.Contains(allowed, r) {
			return true
		}
	}
	return false
}
