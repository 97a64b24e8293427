// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/identity"
	"claviger/internal/keys"
)

// aSession is a session with every field set.
func aSession() identity.Session {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return identity.Session{
		ID: keys.ID{1}, Tenant: tenant, Credential: keys.ID{6}, Name: "ci-17", IssuedAt: at, ExpiresAt: at.Add(time.Hour),
		Chain: []identity.Link{{Principal: somebody, Epoch: 3}, {Principal: keys.ID{7}}},
	}
}

func modulus(bits uint) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return n.SetBit(n, 0, 1)
}

func aKeySession() *identity.KeySession {
	return &identity.KeySession{
		Session: aSession(), Subject: "ocid1.user.oc1..a", Account: "ocid1.tenancy.oc1..b",
		Key: &rsa.PublicKey{N: modulus(identity.MinRSABits), E: 65537},
	}
}

func serverKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestASessionReadsBack(t *testing.T) {
	t.Parallel()
	byAdmin := aSession()
	byAdmin.Credential, byAdmin.Chain = keys.ID{}, byAdmin.Chain[1:]
	for _, s := range []identity.Session{aSession(), byAdmin} {
		b, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := identity.ParseSession(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if diff := cmp.Diff(&s, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	s := aSession()
	if s.Principal() != (keys.ID{7}) {
		t.Errorf("it has the rights of %s", s.Principal())
	}
	if s.Over(s.ExpiresAt.Add(-1)) || !s.Over(s.ExpiresAt) {
		t.Error("it is not over exactly at its end")
	}
}

func TestClaimsThatAreNoSession(t *testing.T) {
	t.Parallel()
	s := aSession()
	good, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(*identity.Session)) string {
		s := aSession()
		f(&s)
		b, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	text := string(good)
	for what, claims := range map[string]string{
		"nothing": "", "no JSON": "x", "another value": "[]", "two values": text + text, "white space": text + " ",
		"a field more":     strings.Replace(text, `{"jti"`, `{"admin":true,"jti"`, 1),
		"a field twice":    strings.Replace(text, `{"jti"`, `{"session":"ci-18","jti"`, 1),
		"another case":     strings.Replace(text, `"jti"`, `"JTI"`, 1),
		"no id":            change(func(s *identity.Session) { s.ID = keys.ID{} }),
		"no tenant":        change(func(s *identity.Session) { s.Tenant = keys.ID{} }),
		"no name":          change(func(s *identity.Session) { s.Name = "" }),
		"no principal":     change(func(s *identity.Session) { s.Chain = nil }),
		"a zero principal": change(func(s *identity.Session) { s.Chain[0].Principal = keys.ID{} }),
		"a negative epoch": change(func(s *identity.Session) { s.Chain[1].Epoch = -1 }),
		"a long chain": change(func(s *identity.Session) {
			for range identity.MaxChain {
				s.Chain = append(s.Chain, s.Chain[0])
			}
		}),
		"over before it began": change(func(s *identity.Session) { s.ExpiresAt = s.IssuedAt }),
		"a day":                change(func(s *identity.Session) { s.ExpiresAt = s.IssuedAt.Add(24 * time.Hour) }),
		"before time began":    change(func(s *identity.Session) { s.IssuedAt, s.ExpiresAt = time.Unix(0, 0), time.Unix(60, 0) }),
	} {
		if got, err := identity.ParseSession([]byte(claims)); err == nil {
			t.Errorf("%s: %s is read as %+v", what, claims, got)
		}
	}
}

func TestATokenReadsBack(t *testing.T) {
	t.Parallel()
	key, s := serverKey(t), aKeySession()
	token, err := s.Sign(key, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	got, err := identity.OpenToken(token, &key.PublicKey)
	if err != nil {
		t.Fatalf("%s: %v", token, err)
	}
	if diff := cmp.Diff(s, got, cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// What clients look at.
	var seen struct {
		Exp int64
		JWK string
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil || json.Unmarshal(payload, &seen) != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	var jwk map[string]string
	if err := json.Unmarshal([]byte(seen.JWK), &jwk); err != nil || jwk["kty"] != "RSA" || jwk["e"] != "AQAB" || seen.Exp != s.ExpiresAt.Unix() {
		t.Errorf("exp is %d, jwk %q", seen.Exp, seen.JWK)
	}
	s.Key.N, s.Subject, s.Account = modulus(identity.MaxRSABits), strings.Repeat("a", 255), strings.Repeat("b", 255)
	if _, err := s.Sign(key, rand.Reader); err != nil {
		t.Errorf("the longest token: %v", err)
	}
	s.Subject = strings.Repeat("a", identity.MaxToken)
	if _, err := s.Sign(key, rand.Reader); !keys.IsKind(err, keys.KindInvalid) {
		t.Errorf("a token that would not be read: %v", err)
	}
}

// forge makes a token of any header and payload with the server's own key.
func forge(t testing.TB, key *ecdsa.PrivateKey, header, payload string) string {
	t.Helper()
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString([]byte(payload))
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + enc.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

const goodHeader = `{"alg":"ES256","typ":"JWT"}`

func goodPayload(t testing.TB) string {
	t.Helper()
	token, err := aKeySession().Sign(serverKey(t), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(payload)
}

func TestTokensThatAreNone(t *testing.T) {
	t.Parallel()
	key, payload, enc := serverKey(t), goodPayload(t), base64.RawURLEncoding
	if _, err := identity.OpenToken(forge(t, key, goodHeader, payload), &key.PublicKey); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	parts := strings.Split(forge(t, key, goodHeader, payload), ".")
	unsigned := enc.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	shared := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + parts[1]
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, public)
	mac.Write([]byte(shared))
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	der, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	small := aKeySession()
	small.Key.N = modulus(identity.MinRSABits - 1)
	weak, err := small.Sign(key, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for what, token := range map[string]string{
		"nothing": "", "one part": parts[0], "two parts": parts[0] + "." + parts[1], "four parts": strings.Join(parts, ".") + ".x",
		"no algorithm": unsigned, "no algorithm, as if signed": unsigned + parts[2],
		"the public key as a secret": shared + "." + enc.EncodeToString(mac.Sum(nil)),
		"another header":             forge(t, key, `{"typ":"JWT","alg":"ES256"}`, payload),
		"another algorithm":          forge(t, key, `{"alg":"RS256","typ":"JWT"}`, payload),
		"a key of its own":           forge(t, key, `{"alg":"ES256","typ":"JWT","jwk":{}}`, payload),
		"another server's":           forge(t, serverKey(t), goodHeader, payload),
		"no signature":               parts[0] + "." + parts[1] + ".",
		"a signature in DER":         parts[0] + "." + parts[1] + "." + enc.EncodeToString(der),
		"a signature of zeros":       parts[0] + "." + parts[1] + "." + enc.EncodeToString(make([]byte, 64)),
		"a longer signature":         strings.Join(parts, ".") + "AA",
		"padding":                    parts[0] + "." + parts[1] + "." + parts[2] + "==",
		"no claims":                  forge(t, key, goodHeader, ""),
		"another issuer":             forge(t, key, goodHeader, strings.Replace(payload, `"iss":"claviger"`, `"iss":"another"`, 1)),
		"another kind":               forge(t, key, goodHeader, strings.Replace(payload, `"ptype":"user"`, `"ptype":"root"`, 1)),
		"two accounts":               forge(t, key, goodHeader, strings.Replace(payload, `"res_tenant":"ocid1`, `"res_tenant":"ocid2`, 1)),
		"a claim more":               forge(t, key, goodHeader, strings.Replace(payload, `{"iss"`, `{"admin":true,"iss"`, 1)),
		"no key":                     forge(t, key, goodHeader, strings.Replace(payload, `\"kty\":\"RSA\"`, `\"kty\":\"EC\"`, 1)),
		"another session's key":      forge(t, key, goodHeader, strings.Replace(payload, `\"kid\":\"01`, `\"kid\":\"02`, 1)),
		"a weak key":                 weak,
		"too long":                   forge(t, key, goodHeader, payload+strings.Repeat(" ", identity.MaxToken)),
	} {
		if got, err := identity.OpenToken(token, &key.PublicKey); err == nil {
			t.Errorf("%s: %s is read as %+v", what, token, got)
		}
	}
}

func FuzzParseSession(f *testing.F) {
	s := aSession()
	good, err := s.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"jti":"","chain":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := identity.ParseSession(b)
		if err != nil {
			return
		}
		again, err := s.Encode()
		if err != nil || string(again) != string(b) {
			t.Errorf("%s is read, and written as %s, %v", b, again, err)
		}
	})
}

// FuzzOpenToken gives any header and payload a signature that verifies, which is the only way
// into the parser.
func FuzzOpenToken(f *testing.F) {
	key := serverKey(f)
	f.Add(goodHeader, goodPayload(f))
	f.Add(`{"alg":"none"}`, `{}`)
	f.Add(goodHeader, `{"jwk":"{\"n\":\"\",\"e\":\"AQAB\"}"}`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		token := forge(t, key, header, payload)
		s, err := identity.OpenToken(token, &key.PublicKey)
		if err != nil {
			return
		}
		if header != goodHeader {
			t.Errorf("a token with the header %q is read", header)
		}
		again, err := s.Sign(key, rand.Reader)
		if err != nil || strings.Split(again, ".")[1] != strings.Split(token, ".")[1] {
			t.Errorf("%s is read, and written as %s, %v", token, again, err)
		}
	})
}

// FuzzOpenTokenText gives the parser any text at all.
func FuzzOpenTokenText(f *testing.F) {
	key := serverKey(f)
	f.Add("a.b.c")
	f.Add(forge(f, serverKey(f), goodHeader, goodPayload(f)))
	f.Fuzz(func(t *testing.T, token string) {
		if s, err := identity.OpenToken(token, &key.PublicKey); err == nil {
			t.Errorf("%s, which nobody signed, is read as %+v", token, s)
		}
	})
}

// TestWhoMayAssume asks for everybody by everybody's rules.
func TestWhoMayAssume(t *testing.T) {
	t.Parallel()
	target := &identity.Principal{ID: keys.ID{20}, Tenant: tenant, AssumableBy: []keys.ID{{21}}}
	caller := func(id, of keys.ID, role identity.Role, vault keys.ID) *identity.Caller {
		p := &identity.Principal{ID: id, Tenant: of}
		return identity.NewCaller(p, keys.ID{6}, []*identity.Binding{{Tenant: of, Principal: id, Role: role, Vault: vault}})
	}
	for what, tt := range map[string]struct {
		who  *identity.Caller
		want bool
	}{
		"itself, without a role":         {caller(target.ID, tenant, "", keys.ID{}), true},
		"one that it lists":              {caller(keys.ID{21}, tenant, "", keys.ID{}), true},
		"one that it lists, elsewhere":   {caller(keys.ID{21}, foreign, identity.Admin, keys.ID{}), false},
		"its id, elsewhere":              {caller(target.ID, foreign, identity.Admin, keys.ID{}), false},
		"an administrator":               {caller(keys.ID{22}, tenant, identity.Admin, keys.ID{}), true},
		"an administrator of a vault":    {caller(keys.ID{22}, tenant, identity.Admin, vault), false},
		"an administrator of elsewhere":  {caller(keys.ID{22}, foreign, identity.Admin, keys.ID{}), false},
		"an operator":                    {caller(keys.ID{22}, tenant, identity.Operator, keys.ID{}), false},
		"a user":                         {caller(keys.ID{22}, tenant, identity.User, keys.ID{}), false},
		"an auditor":                     {caller(keys.ID{22}, tenant, identity.Auditor, keys.ID{}), false},
		"the server":                     {identity.NewSystem("system"), true},
		"somebody whom nobody has heard": {caller(keys.ID{22}, tenant, "", keys.ID{}), false},
	} {
		if got := tt.who.MayAssume(target); got != tt.want {
			t.Errorf("%s: %t, want %t", what, got, tt.want)
		}
	}
}
