// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"slices"
	"strings"
	"testing"

	"claviger/internal/identity"
	"claviger/internal/keys"
)

// noAliasButARN lists the operations that take a key's id or its ARN and no alias.
var noAliasButARN = []string{"GetKeyPolicy"}

// TestWhatKeyIdTakes names the key of every operation with a KeyId in every form: by id, alias and
// ARN, and another account's key without and with a grant.
func TestWhatKeyIdTakes(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	s := newStage(t, c)
	const account, theirs = "1234567890123456", "6543210987654321"
	foreign := mustID(t, c.callAs(t, c.Other, "CreateKey").at("KeyMetadata.KeyId"))
	granted := mustID(t, c.callAs(t, c.Other, "CreateKey").at("KeyMetadata.KeyId"))
	if _, err := c.CreateGrant(t.Context(), c.System("test"), granted, c.Tenant.ID, slices.DeleteFunc(identity.Actions(), func(a keys.Action) bool {
		return !keys.KeyLifecycle.Allowed(a, keys.Enabled)
	})); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, row := range stateTable {
		if !strings.HasPrefix(row.params, "KeyId=$key") || row.operation == "CreateAlias" {
			continue
		}
		seen++
		key := mustID(t, s.key[row.spec])
		alias := "alias/named/" + row.operation
		c.must(t, "CreateAlias", "KeyId="+key.String(), "AliasName="+alias)
		idOnly, noAlias := slices.Contains(byIDOnly, row.operation), slices.Contains(noAliasButARN, row.operation)
		// What an operation answers about a key that it does not fit, or that has no such
		// version, does not matter here: it has been found then.
		const found = "found"
		byARN, byAlias, aliasARN, notTheirs := row.best(), row.best(), isInvalid, noKey
		withGrant := found
		switch {
		case idOnly:
			byARN, byAlias, aliasARN, notTheirs, withGrant = isInvalid, notByAlias, notByAlias, isInvalid, isInvalid
		case noAlias:
			byAlias = notByAlias
		}
		for name, want := range map[string]string{
			key.String():                            row.best(),
			alias:                                   byAlias,
			KeyARN(testRegion, account, key):        byARN,
			AliasARN(testRegion, account, alias):    aliasARN,
			KeyARN("cn-beijing", account, key):      notTheirs,
			KeyARN(testRegion, "1111", key):         notTheirs,
			KeyARN(testRegion, theirs, key):         notTheirs,
			KeyARN(testRegion, theirs, foreign):     notTheirs,
			KeyARN(testRegion, theirs, granted):     withGrant,
			foreign.String():                        noKey,
			granted.String():                        noKey,
			strings.ToUpper(key.String()):           noKey,
			"acs:kms:" + testRegion + ":" + account: isInvalid,
		} {
			params := s.set(t, c, &row)
			params = slices.DeleteFunc(params, func(p string) bool { return strings.HasPrefix(p, "KeyId=") })
			r := c.call(t, row.operation, append(params, "KeyId="+name)...)
			if want == found {
				if r.code() == noKey || r.code() == isMissing {
					t.Errorf("%s with KeyId=%s: %s", row.operation, name, r)
				}
			} else if r.code() != want {
				t.Errorf("%s with KeyId=%s: %s, want %s", row.operation, name, r, want)
			}
			if id := r.at("KeyId"); id != "" && name == alias && id != key.String() {
				t.Errorf("%s with KeyId=%s answers KeyId %s", row.operation, name, id)
			}
			s.strike(t, c, &row)
		}
	}
	if seen < 20 {
		t.Errorf("only %d operations were tried", seen)
	}
}
