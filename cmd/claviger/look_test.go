// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// look compares a running server with what is known: all keys that were touched, and some others.
func (c *chaos) look(t *testing.T, caller *caller, others int) {
	t.Helper()
	ctx := t.Context()
	began := clockOf(t, must(t, "read the clock", caller.admin(ctx, http.MethodGet, "clock", nil)))
	if began.Before(c.clock) {
		t.Errorf("the clock shows %v, and was at %v before", began, c.clock)
	}
	c.clock = began
	for _, s := range c.repeats {
		if c.moving { // the token may be forgotten
			s.lost()
			continue
		}
		a := must(t, "repeat with its token: "+s.what, s.send(ctx, caller))
		s.done(a)
		if again := must(t, "repeat once more: "+s.what, s.send(ctx, caller)); again.text("id") != a.text("id") {
			t.Errorf("%s, repeated with its token, made %s and then %s", s.what, a.text("id"), again.text("id"))
		}
	}
	c.repeats = nil
	c.adopt(t, caller)
	for _, k := range slices.Clone(c.keys) {
		if k.touched || c.moving && k.waits() || c.random.IntN(len(c.keys)) < others || others < 0 {
			c.lookAt(ctx, t, caller, k, others < 0)
			k.touched = k == c.hub
		}
	}
}

// adopt finds keys whose creation was not answered.
func (c *chaos) adopt(t *testing.T, caller *caller) {
	t.Helper()
	known := map[string]*knownKey{}
	for _, k := range c.keys {
		known[k.name] = k
	}
	for _, k := range caller.list(t) {
		name := k.Names["oci"]
		if known[name] != nil {
			delete(known, name)
			continue
		}
		if c.maybe--; c.maybe < 0 {
			t.Errorf("key %s is there, and nobody made it", name)
		}
		c.keys = append(c.keys, &knownKey{name: name, algorithm: k.algorithm(), state: enabled, touched: true, maybe: 1})
	}
	for name, k := range known {
		if !c.buried(k.until) {
			t.Errorf("key %s was answered and is not listed", name)
		}
		c.keys = slices.DeleteFunc(c.keys, func(other *knownKey) bool { return other == k })
	}
	c.maybe = 0
}

// list lists all keys.
func (c *caller) list(t *testing.T) []shown {
	t.Helper()
	var all []shown
	query := url.Values{"limit": {"500"}}
	for {
		a := must(t, "list keys", c.admin(t.Context(), http.MethodGet, "keys?"+query.Encode(), nil))
		var page struct {
			Items []shown
			Next  string
		}
		if err := json.Unmarshal(a.body, &page); err != nil {
			t.Fatalf("parse %s: %v", a.body, err)
		}
		if all = append(all, page.Items...); page.Next == "" {
			return all
		}
		query.Set("cursor", page.Next)
	}
}

// tombstones is how long what was erased is still shown.
const tombstones = 90 * 24 * time.Hour

// buried reports whether something that was to be erased at a time need not be shown any more.
func (c *chaos) buried(until time.Time) bool {
	return !until.IsZero() && !c.clock.Before(until.Add(tombstones))
}

// algorithm is the family of a key's spec.
func (k *shown) algorithm() string {
	switch {
	case strings.HasPrefix(k.Spec, "AES"):
		return "AES"
	case strings.HasPrefix(k.Spec, "RSA"):
		return "RSA"
	}
	return "ECDSA"
}

// lookAt compares one key with what is known, and takes over what was in doubt.
func (c *chaos) lookAt(ctx context.Context, t *testing.T, caller *caller, k *knownKey, everything bool) {
	t.Helper()
	now := func() time.Time {
		return clockOf(t, must(t, "read the clock", caller.admin(ctx, http.MethodGet, "clock", nil)))
	}
	m := moment{before: now()}
	is := caller.show(ctx, t, k.name)
	m.after = now()
	if !m.allows(is.State, k.state, k.doubt, is.DeleteAt) {
		t.Errorf("key %s is %s until %q at %v; it was answered that it is %s (in doubt: %q)", k.name, is.State, is.DeleteAt, m, k.state, k.doubt)
	}
	if k.state = is.State; k.state != pending {
		k.before = ""
	} else if k.before == "" {
		k.before = enabled
	}
	k.doubt, k.alibaba, k.until = nil, "", timeOf(is.DeleteAt)
	if k.algorithm != "RSA" {
		k.alibaba = is.Names["alibaba"]
	}
	known := map[string]*knownVersion{}
	for _, v := range k.versions {
		known[v.name] = v
	}
	k.versions = nil
	for _, v := range is.Versions {
		was := known[v.Names["oci"]]
		if was == nil {
			was = &knownVersion{name: v.Names["oci"], state: enabled}
			if k.maybe--; k.maybe < 0 {
				t.Errorf("key %s has version %s, and nobody made it", k.name, was.name)
			}
		}
		delete(known, was.name)
		if is.State == deleted {
			if v.State != deleted {
				t.Errorf("version %s of an erased key is %s", was.name, v.State)
			}
		} else if !m.allows(v.State, was.state, was.doubt, v.DeleteAt) {
			t.Errorf("version %s is %s until %q at %v; it was answered that it is %s (in doubt: %q)", was.name, v.State, v.DeleteAt, m, was.state, was.doubt)
		}
		was.state, was.doubt, was.until = v.State, nil, timeOf(v.DeleteAt)
		k.versions = append(k.versions, was)
	}
	for name, v := range known {
		if !c.buried(v.until) {
			t.Errorf("version %s was answered and is lost", name)
		}
	}
	k.maybe = 0
	if len(is.Versions) > 0 && is.State != deleted && is.Primary != is.Versions[len(is.Versions)-1].ID {
		t.Errorf("key %s: the primary version %s is not the newest", k.name, is.Primary)
	}
	c.lookAtUses(ctx, t, caller, k, &is, everything)
}

// lookAtUses opens what was encrypted since the last look, and some of what was before.
func (c *chaos) lookAtUses(ctx context.Context, t *testing.T, caller *caller, k *knownKey, is *shown, everything bool) {
	t.Helper()
	state := map[string]string{}
	for _, v := range is.Versions {
		state[v.ID.String()], state[v.Names["oci"]] = v.State, v.State
	}
	for i, u := range k.used {
		if i < k.checked && !everything && c.random.IntN(k.checked) >= 3 {
			continue
		}
		usable := is.State == enabled && state[u.version] == enabled
		a := c.open(ctx, caller, k, u)
		switch {
		case a.err != nil || a.status >= http.StatusInternalServerError:
			t.Errorf("use %d of %s key %s: %s", i, k.algorithm, k.name, a)
		case usable && !a.ok():
			t.Errorf("use %d of %s key %s is lost: %s", i, k.algorithm, k.name, a)
		case !usable && a.ok():
			t.Errorf("use %d of %s key %s, which is %s with version %s %s, is answered", i, k.algorithm, k.name, is.State, u.version, state[u.version])
		case usable && a.text("plaintext")+a.text("Plaintext") != u.plaintext && !a.verified():
			t.Errorf("use %d of %s key %s: %s opens as %s", i, k.algorithm, k.name, u.plaintext, a)
		}
	}
	k.checked = len(k.used)
	if is.State == enabled && len(k.used) == 0 {
		caller.use(ctx, t, k.name)
	}
}

// open decrypts or verifies, through either API.
func (c *chaos) open(ctx context.Context, caller *caller, k *knownKey, u use) answer {
	switch {
	case k.algorithm == "ECDSA":
		body := signature(k.name, u.plaintext)
		body["keyVersionId"], body["signature"] = u.version, u.ciphertext
		return caller.data(ctx, "verify", body)
	case k.algorithm == "RSA":
		return caller.data(ctx, "decrypt", map[string]any{
			"keyId": k.name, "keyVersionId": u.version, "ciphertext": u.ciphertext, "encryptionAlgorithm": oaep,
		})
	case c.random.IntN(2) == 0:
		return caller.alibaba(ctx, "Decrypt", "CiphertextBlob", u.ciphertext)
	}
	return caller.decrypt(ctx, k.name, u.ciphertext)
}
