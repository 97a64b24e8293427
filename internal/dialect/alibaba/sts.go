// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

// The Security Token Service, version 2015-04-01, as far as clients need it to get and to show
// temporary credentials. A role is a principal of the tenant.

const (
	stsVersion          = "2015-04-01"
	opAssumeRole        = "AssumeRole"
	opGetCallerIdentity = "GetCallerIdentity"
	minSession          = 900 // seconds
	maxSession          = 3600
	roleARNPrefix       = "acs:ram::"
)

func (d *Dialect) stsOperations() []dialect.Group {
	return []dialect.Group{{Name: "STS (2015-04-01)", Operations: append([]dialect.Operation{
		op(opAssumeRole, classSTS, keys.Assume, d.assumeRole),
		op(opGetCallerIdentity, classSTS, keys.ReadIdentity, d.getCallerIdentity),
	}, gaps("there are no identity providers here", "AssumeRoleWithOIDC", "AssumeRoleWithSAML")...)}}
}

// productOf is the cloud's name of the service that has an operation.
func productOf(operation string) string {
	switch operation {
	case opAssumeRole, opGetCallerIdentity:
		return "Sts"
	}
	return "Kms"
}

type assumeRoleRequest struct {
	account, role string
	session       string
	life          time.Duration
}

func (q *assumeRoleRequest) read(r *reader) {
	text := func(name string) string {
		v, _ := r.optional(name)
		if v == "" {
			r.fail(mandatory(name))
		}
		return v
	}
	var ok bool
	if q.account, q.role, ok = parseRoleARN(text("RoleArn")); !ok {
		r.invalid("RoleArn", "RoleArn is "+roleARNPrefix+"ACCOUNT:role/NAME, where the role is a principal: its name or its id")
	}
	if q.session = text("RoleSessionName"); !identity.ValidSessionName(q.session) {
		r.invalid("RoleSessionName", "RoleSessionName has 2 to 64 letters, digits and . @ - _")
	}
	q.life = time.Duration(r.integer("DurationSeconds", maxSession, minSession, maxSession)) * time.Second
	r.refused("Policy", keys.Invalid("Policy", "a session has all rights of its role: give the role fewer, or take another"))
	r.refused("ExternalId", keys.Invalid("ExternalId", "roles have no external ids here; who may assume one is listed with it"))
	r.refused("SourceIdentity", keys.Invalid("SourceIdentity", "the audit log names who assumed a role by itself"))
}

// parseRoleARN takes apart acs:ram::ACCOUNT:role/NAME. A name has 1 to 64 letters, digits and
// ". - _", as the cloud's role names.
func parseRoleARN(s string) (account, role string, ok bool) {
	rest, ok := strings.CutPrefix(s, roleARNPrefix)
	if !ok {
		return "", "", false
	}
	account, rest, ok = strings.Cut(rest, ":")
	role, isRole := strings.CutPrefix(rest, "role/")
	return account, role, ok && isRole && account != "" && strings.Trim(account, "0123456789") == "" && validRole(role)
}

func validRole(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// roleName is a principal's name as a role: its id where the name would not do.
func roleName(p *identity.Principal) string {
	if validRole(p.Name) {
		return p.Name
	}
	return p.ID.String()
}

// ramID is a principal's id as the cloud's look: 18 digits.
func ramID(id keys.ID) string {
	const first, span = 100_000_000_000_000_000, 900_000_000_000_000_000
	return strconv.FormatUint(first+binary.BigEndian.Uint64(id[:8])%span, 10)
}

// assumedRole is the answer of AssumeRole.
type assumedRole struct {
	account string
	session *kms.AccessSession
}

func (a *assumedRole) size() int { return len(a.session.Token) }

func (a *assumedRole) write(d *document) {
	s := a.session
	d.object("AssumedRoleUser", func() {
		d.text("AssumedRoleId", ramID(s.Of.ID)+":"+s.Name)
		d.text("Arn", roleARNPrefix+a.account+":role/"+roleName(s.Of)+"/"+s.Name)
	})
	d.object("Credentials", func() {
		d.text("AccessKeyId", s.AccessKey)
		d.letters("AccessKeySecret", s.Secret)
		d.text("SecurityToken", s.Token)
		d.time("Expiration", s.ExpiresAt)
	})
	clear(s.Secret)
}

// letters writes bytes that are letters and digits, without a copy that nobody wipes.
func (d *document) letters(name string, value []byte) {
	d.name(name)
	d.quote()
	d.buf = append(d.buf, value...)
	d.quote()
	d.closing(name)
}

func (d *Dialect) assumeRole(ctx context.Context, c *kms.Call, q *assumeRoleRequest) (*assumedRole, error) {
	account, err := d.service.TenantName(ctx, c.Who.Tenant, Name)
	if err != nil {
		return nil, err
	}
	if q.account != account {
		return nil, &keys.Error{Kind: keys.KindDenied, Action: keys.Assume, Hint: "roles are assumed within an account, and the caller's is " + account}
	}
	s, err := d.service.IssueAccessSession(ctx, c, kms.NewSession{Role: q.role, Name: q.session, Life: q.life})
	if err != nil {
		return nil, err
	}
	return &assumedRole{account, s}, nil
}

type callerIdentityRequest struct{}

// callerIdentity is the answer of GetCallerIdentity.
type callerIdentity struct {
	account string
	self    *identity.Principal
	session *identity.Session
}

func (a *callerIdentity) write(d *document) {
	id := ramID(a.self.ID)
	d.text("AccountId", a.account)
	if a.session == nil {
		d.text("IdentityType", "RAMUser")
		d.text("PrincipalId", id)
		d.text("UserId", id)
		d.text("Arn", roleARNPrefix+a.account+":user/"+a.self.Name)
		return
	}
	d.text("IdentityType", "AssumedRoleUser")
	d.text("PrincipalId", id+":"+a.session.Name)
	d.text("RoleId", id)
	d.text("Arn", roleARNPrefix+a.account+":assumed-role/"+roleName(a.self)+"/"+a.session.Name)
}

func (d *Dialect) getCallerIdentity(ctx context.Context, c *kms.Call, _ *callerIdentityRequest) (*callerIdentity, error) {
	self, err := d.service.Self(ctx, c)
	if err != nil {
		return nil, err
	}
	account, err := d.service.TenantName(ctx, c.Who.Tenant, Name)
	if err != nil {
		return nil, err
	}
	return &callerIdentity{account, self, c.Who.Session}, nil
}
