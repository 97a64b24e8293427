// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"claviger/internal/keys"
)

// TestSeedIDs: an id is of the names above it and of nothing else.
func TestSeedIDs(t *testing.T) {
	t.Parallel()
	parse := func(text string) *seed {
		t.Helper()
		s, err := parseSeed([]byte(text), ".")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := parse("[[tenant]]\nname = \"a\"\n")
	b := parse("# moved\n[[tenant]]\nname = \"b\"\n[[tenant]]\nname = \"a\"\n")
	path := []string{"tenant", "a", "key", "k"}
	if a.id(seedID{}, path...) != b.id(seedID{}, path...) {
		t.Error("the same names have two ids in two files")
	}
	seen := map[keys.ID][]string{}
	for _, path := range [][]string{
		{"tenant", "a"},
		{"tenant", "b"},
		{"tenant", "a", "key", "k"},
		{"tenant", "a", "vault", "k"},
		{"tenant", "a\" \"key", "k"},
		{"tenant", "a", "key", "k", "version", "1"},
		{"tenant", "a", "key", "k\" \"version\" \"1"},
	} {
		id := a.id(seedID{}, path...)
		if other, taken := seen[id]; taken {
			t.Errorf("%q and %q have the same id", path, other)
		}
		seen[id] = path
	}
	given := keys.ID{1}
	if a.id(seedID(given), path...) != given {
		t.Error("an id that is given is not taken")
	}
	var x, y [32]byte
	y[0] = 1
	if defaultSeed(x).id(seedID{}, path...) == defaultSeed(y).id(seedID{}, path...) {
		t.Error("without a seed file ids can be guessed")
	}
}

// TestSeedOCID: an id may be given as the OCID that it has here.
func TestSeedOCID(t *testing.T) {
	t.Parallel()
	want := keys.ID{1, 2, 3}
	ocid := ociNaming{}.Fresh(keys.TypeTenant, want)
	s, err := parseSeed([]byte("[[tenant]]\nname = \"a\"\nid = \""+ocid+"\"\n"), ".")
	if err != nil {
		t.Fatal(err)
	}
	if got := keys.ID(s.Tenants[0].ID); got != want {
		t.Errorf("the id of %s is %s, want %s", ocid, got, want)
	}
}

// FuzzSeed reads anything: it is refused, or it names every tenant once; and no refusal
// quotes material.
func FuzzSeed(f *testing.F) {
	f.Add("[[tenant]]\nname = \"a\"\n[[tenant.vault]]\nname = \"v\"\n[[tenant.vault.key]]\nname = \"k\"\n[[tenant.vault.key.version]]\nmaterial = \"AAAA\"\n")
	f.Add("[[tenant]]\nid = \"0b30658a-ed1a-4922-b8f7-a673ca9c0001\"\n")
	f.Add("[[tenant]]\nname = \"a\"\n[[tenant.principal]]\nname = \"p\"\n[[tenant.principal.oci_api_key]]\npublic_key_file = \"x\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSeed([]byte(text), ".")
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, tenant := range s.Tenants {
			if tenant.Name == "" || seen[tenant.Name] {
				t.Errorf("two tenants are named %q", tenant.Name)
			}
			seen[tenant.Name] = true
		}
	})
}

func TestSeedHidesMaterial(t *testing.T) {
	t.Parallel()
	const text = "[[tenant]]\nname = \"a\"\n[[tenant.vault]]\nname = \"v\"\n[[tenant.vault.key]]\nname = \"k\"\n" +
		"[[tenant.vault.key.version]]\nmaterial = \"very-secret!\"\n"
	if _, err := parseSeed([]byte(text), "."); err == nil || strings.Contains(err.Error(), "very-secret") {
		t.Errorf("the refusal is %v", err)
	}
}

// TestSeedUsages: what a key of each family may be for, and what it is for when nothing is said.
func TestSeedUsages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		key  seedKey
		want keys.Usage
	}{
		{seedKey{}, keys.UsageEncrypt},
		{seedKey{Spec: "EC_SM2"}, keys.UsageEncrypt | keys.UsageSign},
		{seedKey{Spec: "EC_SM2", Usage: []string{"sign"}}, keys.UsageSign},
		{seedKey{Spec: "HMAC_SM3"}, keys.UsageMAC},
		{seedKey{Spec: "HMAC_SM3", Usage: []string{"mac"}}, keys.UsageMAC},
		{seedKey{Spec: "HMAC_SM3", Usage: []string{"sign"}}, 0},
		{seedKey{Spec: "SM4", Usage: []string{"mac"}}, 0},
		{seedKey{Usage: []string{"wrap"}}, 0},
	} {
		got, err := tt.key.usages()
		if got != tt.want || (err == nil) != (tt.want != 0) {
			t.Errorf("%s %v: %v, %v", tt.key.Spec, tt.key.Usage, got, err)
		}
	}
}
