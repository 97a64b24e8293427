// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"hash"
	"math/big"
	"testing"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/secret"
)

func spki(t testing.TB, pub any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestARSAKeyVerifiesItsOwnSignaturesOnly(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, identity.MinRSABits)
	if err != nil {
		t.Fatal(err)
	}
	row := &identity.CredentialRow{ID: keys.ID{1}, Kind: identity.RSAKey, Name: "n", PublicKey: spki(t, private.Public()), Disabled: true}
	caller := holder(identity.User, keys.ID{})
	c, err := identity.OpenRSAKey(row, caller)
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != row.ID || c.Name != "n" || !c.Disabled || c.Caller != caller {
		t.Errorf("the credential is %+v", c)
	}
	digest := sha256.Sum256([]byte("signed"))
	sig, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(sig)
	flipped[0] ^= 1
	other := sha256.Sum256([]byte("other"))
	for _, tt := range []struct {
		what        string
		digest, sig []byte
		want        bool
	}{
		{"the signature", digest[:], sig, true},
		{"a flipped bit", digest[:], flipped, false},
		{"another message", other[:], sig, false},
		{"nothing", digest[:], nil, false},
	} {
		if got := c.VerifyRSA(crypto.SHA256, tt.digest, tt.sig); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.what, got, tt.want)
		}
	}
	mac := hmac.New(sha256.New, nil)
	if c.VerifyMAC(identity.HMACSHA256, nil, mac.Sum(nil)) {
		t.Error("an RSA key verifies a MAC under the empty secret")
	}
}

func TestAnAccessKeyVerifiesItsOwnMACsOnly(t *testing.T) {
	t.Parallel()
	row := &identity.CredentialRow{ID: keys.ID{1}, Kind: identity.AccessKey, Name: "n"}
	c := identity.OpenAccessKey(row, secret.Copy([]byte("hush")), holder(identity.User, keys.ID{}))
	sum := func(h func() hash.Hash, key string) []byte {
		m := hmac.New(h, []byte(key))
		m.Write([]byte("signed"))
		return m.Sum(nil)
	}
	for _, tt := range []struct {
		what   string
		scheme identity.MACScheme
		mac    []byte
		want   bool
	}{
		{"the secret", identity.HMACSHA256, sum(sha256.New, "hush"), true},
		{"with a suffix that is not its scheme's", identity.HMACSHA256, sum(sha256.New, "hush&"), false},
		{"with its suffix", identity.HMACSHA1Ampersand, sum(sha1.New, "hush&"), true},
		{"without the suffix", identity.HMACSHA1Ampersand, sum(sha1.New, "hush"), false},
		{"another secret", identity.HMACSHA256, sum(sha256.New, "hash"), false},
		{"cut off", identity.HMACSHA256, sum(sha256.New, "hush")[:31], false},
		{"nothing", identity.HMACSHA256, nil, false},
		{"the secret, again", identity.HMACSHA256, sum(sha256.New, "hush"), true},
		{"with its suffix, again", identity.HMACSHA1Ampersand, sum(sha1.New, "hush&"), true},
	} {
		if got := c.VerifyMAC(tt.scheme, []byte("signed"), tt.mac); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.what, got, tt.want)
		}
	}
	if c.VerifyRSA(crypto.SHA256, make([]byte, 32), make([]byte, 256)) {
		t.Error("an access key verifies an RSA signature")
	}
	c.Wipe()
	if c.VerifyMAC(identity.HMACSHA256, []byte("signed"), sum(sha256.New, "hush")) {
		t.Error("it verifies after it was wiped")
	}
	empty := identity.OpenAccessKey(row, secret.Bytes{}, nil)
	if empty.VerifyMAC(identity.HMACSHA1Ampersand, []byte("signed"), sum(sha1.New, "&")) {
		t.Error("an access key without a secret verifies a MAC that anybody can make")
	}
}

func TestPublicKeysThatAreNoSigningKeys(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	modulus := func(bits uint) *rsa.PublicKey {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
	}
	good := spki(t, modulus(identity.MaxRSABits))
	if _, err := identity.ParseRSAPublicKey(good); err != nil {
		t.Errorf("%d bits: %v", identity.MaxRSABits, err)
	}
	for what, der := range map[string][]byte{
		"nothing": nil, "noise": []byte("noise"), "trailing bytes": append(bytes.Clone(good), 0),
		"another algorithm": spki(t, ec.Public()), "too short": spki(t, modulus(identity.MinRSABits-1)),
		"too long": spki(t, modulus(identity.MaxRSABits+1)),
	} {
		if _, err := identity.ParseRSAPublicKey(der); err == nil {
			t.Errorf("%s: accepted", what)
		}
		if _, err := identity.OpenRSAKey(&identity.CredentialRow{PublicKey: der}, nil); err == nil {
			t.Errorf("%s: opened", what)
		}
	}
}

func FuzzParseRSAPublicKey(f *testing.F) {
	n := new(big.Int).Lsh(big.NewInt(1), identity.MinRSABits-1)
	f.Add(spki(f, &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}))
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		pub, err := identity.ParseRSAPublicKey(der)
		if err != nil {
			return
		}
		if bits := pub.N.BitLen(); bits < identity.MinRSABits || bits > identity.MaxRSABits {
			t.Errorf("accepted a key of %d bits", bits)
		}
	})
}
