// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"strings"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// Name is the key of this cloud's names in the core.
const Name = "alibaba"

// KeyName is the key's id as this cloud shows it: UUID text.
func KeyName(id keys.ID) string { return id.String() }

// VersionName is the key version's id as this cloud shows it: UUID text.
func VersionName(id keys.ID) string { return id.String() }

// KeyARN names a key across accounts. region is the cloud's id of it.
func KeyARN(region, account string, id keys.ID) string {
	return arnPrefix + region + ":" + account + ":key/" + id.String()
}

// AliasARN names an alias across accounts; alias begins with "alias/".
func AliasARN(region, account, alias string) string {
	return arnPrefix + region + ":" + account + ":" + alias
}

const (
	arnPrefix   = "acs:kms:"
	aliasPrefix = "alias/"
	// maxName is the longest key or version id or ARN that is looked up: the longest of
	// them, an ARN with an alias, stays below it.
	maxName = 512
)

// IsAlias reports whether a KeyId is an alias.
func IsAlias(name string) bool { return strings.HasPrefix(name, aliasPrefix) }

// ARN is a key's name across accounts, taken apart.
type ARN struct {
	Region  string // the cloud's id of it
	Account string
	Key     string // the key's id
}

// ParseARN takes apart acs:kms:${region}:${account}:key/${keyid}. It looks nothing up.
func ParseARN(s string) (ARN, bool) {
	rest, ok := strings.CutPrefix(s, arnPrefix)
	if !ok {
		return ARN{}, false
	}
	region, rest, ok1 := strings.Cut(rest, ":")
	account, rest, ok2 := strings.Cut(rest, ":")
	key, ok3 := strings.CutPrefix(rest, "key/")
	a := ARN{Region: region, Account: account, Key: key}
	return a, ok1 && ok2 && ok3 && region != "" && account != "" && key != "" && !strings.ContainsAny(key, ":/")
}

// ParseKeyName makes the reference of a key id. What is not UUID text is looked for among the
// names that were carried over from the cloud.
func ParseKeyName(name string) kms.KeyRef {
	ref := kms.KeyRef{Accept: Visible, HideDeleted: true}
	if id, err := keys.ParseID(name); err == nil {
		ref.ID = id
	} else {
		ref.External = name
	}
	return ref
}

// ParseVersionName makes the reference of a key version id, as ParseKeyName does for keys.
func ParseVersionName(name string) kms.VersionRef {
	ref := kms.VersionRef{HideDeleted: true}
	if id, err := keys.ParseID(name); err == nil {
		ref.ID = id
	} else {
		ref.External = name
	}
	return ref
}

// validName reports whether s can be an id at all: printable ASCII, of bounded length.
func validName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// validAlias reports whether s may be the name of an alias: "alias/" and 1 to 255 of letters,
// digits, "_", "/" and "-".
func validAlias(s string) bool {
	name, ok := strings.CutPrefix(s, aliasPrefix)
	if !ok || name == "" || len(name) > 255 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '/', c == '-':
		default:
			return false
		}
	}
	return true
}

// reservedAlias is how the names of the cloud's own aliases begin.
const reservedAlias = "alias/acs"
