// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"claviger/internal/keys"
)

func testNamer() *Namer {
	return NewNamer(map[keys.Region]string{"home": "us-ashburn-1", "west": "us-phoenix-1", "seoul": "ap-seoul-1"})
}

func id(seed byte) keys.ID {
	var out keys.ID
	for i := range out {
		out[i] = seed + byte(i)
	}
	return out
}

// The shapes are those that Oracle's own OCIDs have.
func TestNamesHaveOraclesShape(t *testing.T) {
	t.Parallel()
	n := testNamer()
	v := &keys.Vault{ID: id(1), Region: "home"}
	k := &keys.Key{ID: id(2), Vault: v.ID, Region: "home"}
	ver := &keys.Version{ID: id(3), Key: k.ID, Vault: v.ID, Region: "home"}
	for _, tc := range []struct{ name, shape string }{
		{n.VaultName(v), `^ocid1\.vault\.oc1\.iad\.[a-z2-7]{13}\.[a-z2-7]{60}$`},
		{n.KeyName(k), `^ocid1\.key\.oc1\.iad\.[a-z2-7]{13}\.[a-z2-7]{60}$`},
		{n.VersionName(ver), `^ocid1\.keyversion\.oc1\.iad\.[a-z2-7]{13}\.[a-z2-7]{13}\.[a-z2-7]{60}$`},
		{n.wrappingKeyName(v), `^ocid1\.key\.oc1\.iad\.[a-z2-7]{13}\.[a-z2-7]{60}$`},
		{n.VaultName(&keys.Vault{ID: id(1), Region: "west"}), `^ocid1\.vault\.oc1\.phx\.`},
		{n.VaultName(&keys.Vault{ID: id(1), Region: "seoul"}), `^ocid1\.vault\.oc1\.ap-seoul-1\.`},
		{n.VaultName(&keys.Vault{ID: id(1), Region: "eu-paris-1"}), `^ocid1\.vault\.oc1\.eu-paris-1\.`},
		{NewTenancyName(id(4)), `^ocid1\.tenancy\.oc1\.\.[a-z2-7]{60}$`},
		{NewUserName(id(4)), `^ocid1\.user\.oc1\.\.[a-z2-7]{60}$`},
		{NewCompartmentName(id(4)), `^ocid1\.compartment\.oc1\.\.[a-z2-7]{60}$`},
		// What the Python SDK and the CLI check of a configured user and tenancy.
		{NewUserName(id(4)), `^([0-9a-zA-Z-_]+[.:])([0-9a-zA-Z-_]*[.:]){3,}([0-9a-zA-Z-_]+)$`},
	} {
		if !regexp.MustCompile(tc.shape).MatchString(tc.name) {
			t.Errorf("%s does not have the shape %s", tc.name, tc.shape)
		}
	}
	vaultPrefix := strings.Split(n.VaultName(v), ".")[4]
	for _, name := range []string{n.KeyName(k), n.VersionName(ver), n.wrappingKeyName(v)} {
		if got := strings.Split(name, ".")[4]; got != vaultPrefix {
			t.Errorf("%s does not carry its vault's prefix %s", name, vaultPrefix)
		}
	}
	if a, b := unique(n.VaultName(v))[:8], unique(n.KeyName(k))[:8]; a != b {
		t.Errorf("unique parts of one region begin with %s and %s", a, b)
	}
}

func unique(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

func TestNamesParseBackToTheirRecords(t *testing.T) {
	t.Parallel()
	n := testNamer()
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) keys.ID {
			return keys.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
		}
		region := keys.Region(rapid.SampledFrom([]string{"home", "west", "seoul", "eu-paris-1"}).Draw(t, "region"))
		v := &keys.Vault{ID: draw("vault"), Region: region}
		k := &keys.Key{ID: draw("key"), Vault: v.ID, Region: region}
		ver := &keys.Version{ID: draw("version"), Key: k.ID, Vault: v.ID, Region: region}
		for _, tc := range []struct {
			name string
			typ  keys.Type
			id   keys.ID
		}{
			{n.VaultName(v), keys.TypeVault, v.ID},
			{n.KeyName(k), keys.TypeKey, k.ID},
			{n.VersionName(ver), keys.TypeVersion, ver.ID},
			{NewTenancyName(v.ID), keys.TypeTenant, v.ID},
			{NewUserName(v.ID), keys.TypePrincipal, v.ID},
			{NewCompartmentName(v.ID), keys.TypeCompartment, v.ID},
		} {
			typ, got, ok := ParseName(tc.name)
			if !ok || typ != tc.typ || got != tc.id {
				t.Fatalf("ParseName(%s) = %s %s %v, want %s %s", tc.name, typ, got, ok, tc.typ, tc.id)
			}
		}
		if !isKey(n, n.KeyName(k), k) || !n.isVersion(n.VersionName(ver), ver) {
			t.Fatal("a record does not answer to its own name")
		}
	})
}

func TestAnyOtherSpellingIsNotTheName(t *testing.T) {
	t.Parallel()
	n := testNamer()
	k := &keys.Key{ID: id(2), Vault: id(1), Region: "home"}
	name := n.KeyName(k)
	for i := range len(name) {
		for _, c := range []byte("a7.-A") {
			if name[i] == c {
				continue
			}
			other := name[:i] + string(c) + name[i+1:]
			if isKey(n, other, k) {
				t.Fatalf("%s is taken for %s", other, name)
			}
		}
	}
	elsewhere := *k
	elsewhere.Vault = id(9)
	if _, got, ok := ParseName(n.KeyName(&elsewhere)); !ok || got != k.ID {
		t.Fatal("the name under another vault must still parse: parsing is pure")
	}
	if isKey(n, n.KeyName(&elsewhere), k) {
		t.Error("a name under another vault is taken for the key's")
	}
}

// isKey asks as requests do.
func isKey(n *Namer, name string, k *keys.Key) bool {
	o, ok := parseOCID(name)
	return ok && n.isKey(name, o, k)
}

func TestForeignNamesDoNotParse(t *testing.T) {
	t.Parallel()
	good := testNamer().VaultName(&keys.Vault{ID: id(1), Region: "home"})
	for _, name := range []string{
		"", "ocid1", "ocid1.", "ocid1.vault.oc1.iad", good + "a", good[:len(good)-1], strings.ToUpper(good),
		strings.Replace(good, "ocid1.vault", "ocid1.key", 1),
		strings.Replace(good, ".oc1.", ".oc2.", 1),
		strings.Replace(good, ".iad.", "..", 1),
		"ocid1.vault.oc1.ap-seoul-1.cnqrnkn6aagiu.abuwgljrydh5zgiwwtcrz7fzuurny3ijfhjka3vefnrqcwfd3aaaaaaaaaaa",
		"ocid1.tenancy.oc1..aaaaaaaa24b3mfwu6aulib33oan3eqicwm4az65cog7oaaaaaaaaaaaaaaaa",
		strings.Replace(NewTenancyName(id(1)), "..", ".iad.", 1),
		strings.Repeat("ocid1.key.oc1.", 40),
	} {
		if typ, got, ok := ParseName(name); ok {
			t.Errorf("ParseName(%q) = %s %s, want a refusal", name, typ, got)
		}
	}
}

func FuzzParseOCID(f *testing.F) {
	n := testNamer()
	f.Add(n.VaultName(&keys.Vault{ID: id(1), Region: "home"}))
	f.Add(n.KeyName(&keys.Key{ID: id(2), Vault: id(1), Region: "seoul"}))
	f.Add(n.VersionName(&keys.Version{ID: id(3), Key: id(2), Vault: id(1), Region: "west"}))
	f.Add(NewTenancyName(id(4)))
	f.Add("ocid1.key.oc1.iad.cnqrnkn6aagiu.abuwgljr")
	f.Fuzz(func(t *testing.T, s string) {
		o, ok := parseOCID(s)
		if !ok {
			return
		}
		// Rendering what was parsed gives back all but the parts that a record decides.
		if got := string(appendIdentity(nil, o.typ, o.id)); got != s[len(s)-2*idChars:] {
			t.Fatalf("%q renders as …%s", s, got)
		}
		if !strings.HasPrefix(s, "ocid1."+o.typ+"."+realm+".") {
			t.Fatalf("%q parsed as a %s", s, o.typ)
		}
		if strings.Contains(o.typ, "key") || o.typ == typeVault {
			return
		}
		if got := newGlobalName(o.typ, o.id); got != s {
			t.Fatalf("%q renders as %q", s, got)
		}
	})
}

func TestFingerprintIsOpenSSLs(t *testing.T) {
	t.Parallel()
	// printf 'claviger' | openssl md5 -c
	const want = "8f:73:fc:dc:85:3f:37:a3:0c:01:39:b8:eb:b0:dd:a1"
	got := Fingerprint([]byte("claviger"))
	if !regexp.MustCompile(`^([0-9a-f]{2}:){15}[0-9a-f]{2}$`).MatchString(got) {
		t.Errorf("fingerprint %s does not have the shape that the CLI asks for", got)
	}
	if got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
}
