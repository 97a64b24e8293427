// SPDX-License-Identifier: Apache-2.0

package keys

import "fmt"

// Spec names the algorithm and size of a key's material.
type Spec string

// Every spec that a key can have. A dialect maps its own names onto these and
// hides the ones its cloud does not know.
const (
	AES128     Spec = "AES_128"
	AES192     Spec = "AES_192"
	AES256     Spec = "AES_256"
	RSA2048    Spec = "RSA_2048"
	RSA3072    Spec = "RSA_3072"
	RSA4096    Spec = "RSA_4096"
	ECP256     Spec = "EC_P256"
	ECP384     Spec = "EC_P384"
	ECP521     Spec = "EC_P521"
	SECP256K1  Spec = "EC_SECP256K1"
	SM2        Spec = "EC_SM2"
	SM4        Spec = "SM4"
	HMACSHA224 Spec = "HMAC_SHA_224"
	HMACSHA256 Spec = "HMAC_SHA_256"
	HMACSHA384 Spec = "HMAC_SHA_384"
	HMACSHA512 Spec = "HMAC_SHA_512"
	HMACSM3    Spec = "HMAC_SM3"
)

// Family groups the specs that share algorithms.
type Family string

// The families of [Spec].
const (
	FamilyAES  Family = "AES"
	FamilyRSA  Family = "RSA"
	FamilyEC   Family = "EC"
	FamilySM2  Family = "SM2"
	FamilySM4  Family = "SM4"
	FamilyHMAC Family = "HMAC"
)

type specInfo struct {
	family Family
	bits   int
	usages Usage // every usage the spec is capable of
}

var specs = map[Spec]specInfo{
	AES128:     {FamilyAES, 128, UsageEncrypt},
	AES192:     {FamilyAES, 192, UsageEncrypt},
	AES256:     {FamilyAES, 256, UsageEncrypt},
	RSA2048:    {FamilyRSA, 2048, UsageEncrypt | UsageSign},
	RSA3072:    {FamilyRSA, 3072, UsageEncrypt | UsageSign},
	RSA4096:    {FamilyRSA, 4096, UsageEncrypt | UsageSign},
	ECP256:     {FamilyEC, 256, UsageSign},
	ECP384:     {FamilyEC, 384, UsageSign},
	ECP521:     {FamilyEC, 521, UsageSign},
	SECP256K1:  {FamilyEC, 256, UsageSign},
	SM2:        {FamilySM2, 256, UsageEncrypt | UsageSign},
	SM4:        {FamilySM4, 128, UsageEncrypt},
	HMACSHA224: {FamilyHMAC, 224, UsageMAC},
	HMACSHA256: {FamilyHMAC, 256, UsageMAC},
	HMACSHA384: {FamilyHMAC, 384, UsageMAC},
	HMACSHA512: {FamilyHMAC, 512, UsageMAC},
	HMACSM3:    {FamilyHMAC, 256, UsageMAC},
}

// Specs lists every known spec in a fixed order.
func Specs() []Spec {
	return []Spec{
		AES128, AES192, AES256, RSA2048, RSA3072, RSA4096, ECP256, ECP384, ECP521, SECP256K1, SM2, SM4,
		HMACSHA224, HMACSHA256, HMACSHA384, HMACSHA512, HMACSM3,
	}
}

// Valid reports whether s is a known spec.
func (s Spec) Valid() bool { _, ok := specs[s]; return ok }

// Family is the group of s; "" for an unknown spec.
func (s Spec) Family() Family { return specs[s].family }

// Bits is the size of the key in bits: the AES or SM4 key, the RSA modulus, the curve's field. An
// HMAC key is as long as its hash's output (RFC 2104 §3).
func (s Spec) Bits() int { return specs[s].bits }

// Usages is every usage that s is capable of.
func (s Spec) Usages() Usage { return specs[s].usages }

// Symmetric reports whether a key of this spec has no public half.
func (s Spec) Symmetric() bool { return s.Sealing() || s.Family() == FamilyHMAC }

// Sealing reports whether a key of this spec encrypts into the ciphertext envelope.
func (s Spec) Sealing() bool { return s.Family() == FamilyAES || s.Family() == FamilySM4 }

// Rotates reports whether a key of this spec can have more than one version. A MAC names neither
// its key nor a version, so an HMAC key has but one.
func (s Spec) Rotates() bool { return s.Valid() && s.Family() != FamilyHMAC }

// Usage is a set of things that a key may be used for.
type Usage uint8

// The members of [Usage].
const (
	UsageEncrypt Usage = 1 << iota // encrypt, decrypt and wrap data keys
	UsageSign                      // sign and verify
	UsageMAC                       // make and verify message authentication codes
)

// Has reports whether every usage of u2 is in u.
func (u Usage) Has(u2 Usage) bool { return u&u2 == u2 }

// String lists the members, joined with "+".
func (u Usage) String() string {
	out := ""
	for _, m := range []struct {
		u    Usage
		name string
	}{{UsageEncrypt, "encrypt"}, {UsageSign, "sign"}, {UsageMAC, "mac"}} {
		if u.Has(m.u) {
			if out != "" {
				out += "+"
			}
			out += m.name
		}
	}
	if out == "" {
		return fmt.Sprintf("none(%d)", uint8(u))
	}
	return out
}

// Algorithm names one way of using a key, in no cloud's words.
type Algorithm string

// The algorithms. PSS salts are as long as the digest and MGF1 uses the same hash
// (RFC 8017 §9.1); ECDSA signatures are ASN.1 DER (RFC 3279 §2.2.3), and so are those of SM2
// (GM/T 0009-2012 §7.3). Each HMAC key has one hash, so that no MAC of one is a MAC of another.
const (
	Envelope    Algorithm = "ENVELOPE" // AES and SM4 keys: the ciphertext envelope
	OAEPSHA1    Algorithm = "RSA_OAEP_SHA_1"
	OAEPSHA256  Algorithm = "RSA_OAEP_SHA_256"
	PSSSHA224   Algorithm = "RSA_PSS_SHA_224"
	PSSSHA256   Algorithm = "RSA_PSS_SHA_256"
	PSSSHA384   Algorithm = "RSA_PSS_SHA_384"
	PSSSHA512   Algorithm = "RSA_PSS_SHA_512"
	PKCS1SHA224 Algorithm = "RSA_PKCS1_SHA_224"
	PKCS1SHA256 Algorithm = "RSA_PKCS1_SHA_256"
	PKCS1SHA384 Algorithm = "RSA_PKCS1_SHA_384"
	PKCS1SHA512 Algorithm = "RSA_PKCS1_SHA_512"
	ECDSASHA256 Algorithm = "ECDSA_SHA_256"
	ECDSASHA384 Algorithm = "ECDSA_SHA_384"
	ECDSASHA512 Algorithm = "ECDSA_SHA_512"
	SM2PKE      Algorithm = "SM2PKE"
	SM2DSA      Algorithm = "SM2DSA"
	MACSHA224   Algorithm = "HMAC_SHA_224"
	MACSHA256   Algorithm = "HMAC_SHA_256"
	MACSHA384   Algorithm = "HMAC_SHA_384"
	MACSHA512   Algorithm = "HMAC_SHA_512"
	MACSM3      Algorithm = "HMAC_SM3"
)

// Fits reports whether a is an algorithm of the spec's family, and for which usage.
func (a Algorithm) Fits(s Spec) (Usage, bool) {
	switch a {
	case Envelope:
		return UsageEncrypt, s.Sealing()
	case OAEPSHA1, OAEPSHA256:
		return UsageEncrypt, s.Family() == FamilyRSA
	case PSSSHA224, PSSSHA256, PSSSHA384, PSSSHA512, PKCS1SHA224, PKCS1SHA256, PKCS1SHA384, PKCS1SHA512:
		return UsageSign, s.Family() == FamilyRSA
	case ECDSASHA256, ECDSASHA384, ECDSASHA512:
		return UsageSign, s.Family() == FamilyEC
	case SM2PKE:
		return UsageEncrypt, s.Family() == FamilySM2
	case SM2DSA:
		return UsageSign, s.Family() == FamilySM2
	case MACSHA224, MACSHA256, MACSHA384, MACSHA512, MACSM3:
		return UsageMAC, s.Family() == FamilyHMAC && string(a) == string(s)
	}
	return 0, false
}

// Origin tells where key material came from.
type Origin string

// The origins.
const (
	Generated Origin = "GENERATED"
	Imported  Origin = "IMPORTED"
	External  Origin = "EXTERNAL"
)

// Protection tells where key material is used.
type Protection string

// The protection levels.
const (
	Software Protection = "SOFTWARE"
	HSM      Protection = "HSM"
)
