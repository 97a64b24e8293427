// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"errors"
	"slices"
	"strings"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

const maxFilters = 10 // of filters, and of values of each

// filters are what ListKeys is asked to narrow its list to: filter key → the values, of which
// any may match. All keys must match.
type filters map[string][]string

// filterKeys are the keys that a filter may have; "keyId" is spelt as the cloud does.
var filterKeys = []string{
	"KeyState", "KeySpec", "KeyUsage", "ProtectionLevel", "CreatorType", "DKMSInstanceId", "keyId", "AliasName",
	"Creator", "TagKey", "TagValue",
}

var errFilter = errors.New("not a filter")

// filters reads a JSON array of {"Key","Values"}.
func (r *reader) filters(name string) filters {
	v, _ := r.optional(name)
	if v == "" {
		return nil
	}
	j := jsonText{s: v}
	out, n := filters{}, 0
	err := j.array(func() error {
		n++
		return j.filter(out)
	})
	if err != nil || !j.end() || n > maxFilters {
		r.invalid(name, `Filters takes a JSON array of at most 10 {"Key":"..","Values":[".."]} with at most 10 values, the keys of `+strings.Join(filterKeys, ", "))
		return nil
	}
	return out
}

func (j *jsonText) filter(into filters) error {
	key, values, seen := "", []string{}, map[string]bool{}
	err := j.object(func(name string) error {
		if seen[name] {
			return errJSONTwice
		}
		seen[name] = true
		switch name {
		case "Key":
			var err error
			key, err = j.text()
			return err
		case "Values":
			return j.array(func() error {
				v, err := j.text()
				values = append(values, v)
				return err
			})
		}
		return errFilter
	})
	if err != nil {
		return err
	}
	if !slices.Contains(filterKeys, key) || len(values) > maxFilters {
		return errFilter
	}
	if key == "KeyState" && slices.ContainsFunc(values, func(v string) bool { return !isStateName(v) }) {
		return errFilter
	}
	into[key] = append(into[key], values...)
	return nil
}

// known is what has to be looked up to tell whether a key matches.
type known struct {
	account string
	aliased map[keys.ID]bool
	vaults  map[string]keys.ID // by the name of their instance
}

// match makes the predicate of the filters. Aliases and instances are looked up first: a name
// that is not there matches no key.
func (d *Dialect) match(ctx context.Context, c *kms.Call, f filters) (func(*kms.Key) bool, error) {
	n := &known{aliased: map[keys.ID]bool{}, vaults: map[string]keys.ID{}}
	for _, name := range f["AliasName"] {
		if !validAlias(name) {
			continue
		}
		k, err := d.service.Key(ctx, c, kms.KeyRef{Alias: name, Accept: Visible, HideDeleted: true})
		if err == nil {
			n.aliased[k.ID] = true
		} else if !keys.IsKind(err, keys.KindNotFound) {
			return nil, err
		}
	}
	for _, name := range f["DKMSInstanceId"] {
		v, err := d.service.Vault(ctx, c, ParseInstanceName(name))
		if err == nil {
			n.vaults[name] = v.ID
		} else if !keys.IsKind(err, keys.KindNotFound) {
			return nil, err
		}
	}
	var err error
	if n.account, err = d.service.TenantName(ctx, c.Who.Tenant, Name); err != nil {
		return nil, err
	}
	return func(k *kms.Key) bool {
		for key, values := range f {
			if len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool { return n.has(k, key, v) }) {
				return false
			}
		}
		return true
	}, nil
}

// has reports whether the key has value as the property that a filter's key names.
func (n *known) has(k *kms.Key, key, value string) bool {
	switch key {
	case "KeyState":
		return nameOfState(k.State) == value
	case "KeySpec":
		return nameOfSpec(k.Spec) == value
	case "KeyUsage":
		return nameOfUsage(k.Usages) == value
	case "ProtectionLevel":
		return string(k.Protection) == value
	case "CreatorType":
		return value == "User"
	case "DKMSInstanceId":
		return n.vaults[value] == k.Vault
	case "keyId":
		return KeyName(k.ID) == value
	case "AliasName":
		return n.aliased[k.ID]
	case "Creator":
		return value == n.account
	case "TagKey":
		_, ok := k.Tags.Plain[value]
		return ok
	case "TagValue":
		for _, v := range k.Tags.Plain {
			if v == value {
				return true
			}
		}
	}
	return false
}
