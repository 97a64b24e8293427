// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"strings"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// keyID reads a parameter that takes a key's id and nothing else.
func (r *reader) keyID(name string) kms.KeyRef { return r.asKeyID(name, r.text(name)) }

func (r *reader) asKeyID(name, v string) kms.KeyRef {
	switch {
	case r.err != nil:
	case IsAlias(v), strings.HasPrefix(v, arnPrefix) && strings.Contains(v, ":"+aliasPrefix):
		r.fail(&keys.Error{Kind: keys.KindAliasNotAllowed, Noun: keys.TypeAlias, Field: name, Hint: "this operation takes the key's id"})
	case strings.HasPrefix(v, arnPrefix), !validName(v):
		r.invalid(name, "this operation takes the key's id")
	}
	return ParseKeyName(v)
}

// keyName reads a parameter that takes a key's id, alias or ARN; see [Dialect.resolve].
func (r *reader) keyName(name string) string {
	v := r.text(name)
	if r.err == nil && !validName(v) {
		r.invalid(name, name+" is a key's id, alias or ARN")
	}
	return v
}

// versionID reads the id of a key version.
func (r *reader) versionID(name string) kms.VersionRef {
	v := r.text(name)
	if r.err == nil && !validName(v) {
		r.invalid(name, name+" is the id of a key version")
	}
	return ParseVersionName(v)
}

// alias reads the name of an alias that is there.
func (r *reader) alias(name string) string {
	v := r.text(name)
	if r.err == nil && !validAlias(v) {
		r.invalid(name, name+` begins with "alias/", then 1 to 255 letters, digits, "_", "/" and "-"`)
	}
	return v
}

// newAlias reads the name of an alias to be.
func (r *reader) newAlias(name string) string {
	v := r.alias(name)
	if r.err == nil && strings.HasPrefix(v, reservedAlias) {
		r.invalid(name, name+" must not begin with "+reservedAlias+", which is the cloud's own")
	}
	return v
}

// resolve finds which key an id, alias or ARN means. A key of another account is reached by
// its ARN only; whether the caller may is the core's to say, and one that may not, or that is
// in another region, is not found.
func (d *Dialect) resolve(ctx context.Context, c *kms.Call, name string) (kms.KeyRef, error) {
	switch {
	case IsAlias(name):
		if !validAlias(name) {
			return kms.KeyRef{}, keys.NotFound(keys.TypeAlias)
		}
		return kms.KeyRef{Alias: name, Accept: Visible, HideDeleted: true}, nil
	case !strings.HasPrefix(name, arnPrefix):
		return ParseKeyName(name), nil
	}
	arn, ok := ParseARN(name)
	if !ok {
		return kms.KeyRef{}, keys.Invalid("KeyId", "a key's ARN has the form acs:kms:${region}:${account}:key/${keyid}")
	}
	if arn.Region != d.cfg.Regions[c.Region] {
		return kms.KeyRef{}, &keys.Error{Kind: keys.KindNotFound, Noun: keys.TypeKey, Hint: "the ARN is of another region than this endpoint"}
	}
	tenant, err := d.service.TenantByName(ctx, Name, arn.Account)
	if keys.IsKind(err, keys.KindNotFound) {
		return kms.KeyRef{}, keys.NotFound(keys.TypeKey)
	}
	if err != nil {
		return kms.KeyRef{}, err
	}
	ref := ParseKeyName(arn.Key)
	ref.Tenant, ref.Foreign = tenant, tenant != c.Who.Tenant
	return ref, nil
}
