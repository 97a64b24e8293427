// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"testing"
	"time"

	"claviger/internal/keys"
)

// TestAliasesEndWithTheirKey looks at an alias at the moment when its key's retention ends, before
// anything is swept away.
func TestAliasesEndWithTheirKey(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key, other := c.newKey(t), c.newKey(t)
	c.must(t, "CreateAlias", "KeyId="+key, "AliasName=alias/a")
	c.must(t, "CreateAlias", "KeyId="+other, "AliasName=alias/b")
	c.must(t, "ScheduleKeyDeletion", "KeyId="+key, "PendingWindowInDays=7")
	c.Clock.Add(7*keys.Day - time.Second)
	if r := c.must(t, "ListAliases"); r.at("Aliases.Alias.0.KeyId") != key || r.at("Aliases.Alias.1.KeyId") != other {
		t.Errorf("a second before: %s", r)
	}
	c.Clock.Add(time.Second)
	if r := c.must(t, "ListAliases"); r.at("Aliases.Alias.0.KeyId") != other || r.at("Aliases.Alias.1.KeyId") != "" {
		t.Errorf("at the moment: %s", r)
	}
	for action, params := range map[string][]string{
		"DescribeKey": {"KeyId=alias/a"}, "DeleteAlias": {"AliasName=alias/a"}, "UpdateAlias": {"AliasName=alias/a", "KeyId=" + other},
		"Encrypt": {"KeyId=alias/a", "Plaintext=aGk="},
	} {
		if r := c.call(t, action, params...); r.code() != noAlias {
			t.Errorf("%s: %s", action, r)
		}
	}
	c.advance(t, 0)
	c.must(t, "CreateAlias", "KeyId="+other, "AliasName=alias/a")
	if r := c.must(t, "ListAliases"); r.at("TotalCount") != "2" {
		t.Errorf("made again: %s", r)
	}
}
