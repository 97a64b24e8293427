// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"slices"

	"claviger/internal/keys"
)

// The projection: how the core's keys look through this cloud, or that they do not. Every
// cell is listed in docs/divergences-alibaba.md.

type specName struct {
	spec keys.Spec
	name string
}

// specNames is every spec that this cloud knows and this server has. It documents HMAC keys and
// not what their specs are called: they go by the names of its MAC algorithms.
var specNames = []specName{
	{keys.AES256, "Aliyun_AES_256"},
	{keys.AES192, "Aliyun_AES_192"},
	{keys.AES128, "Aliyun_AES_128"},
	{keys.RSA2048, "RSA_2048"},
	{keys.RSA3072, "RSA_3072"},
	{keys.RSA4096, "RSA_4096"},
	{keys.ECP256, "EC_P256"},
	{keys.SECP256K1, "EC_P256K"},
	{keys.SM2, "EC_SM2"},
	{keys.SM4, "Aliyun_SM4"},
	{keys.HMACSHA224, "HMAC_SHA_224"},
	{keys.HMACSHA256, "HMAC_SHA_256"},
	{keys.HMACSHA384, "HMAC_SHA_384"},
	{keys.HMACSHA512, "HMAC_SHA_512"},
	{keys.HMACSM3, "HMAC_SM3"},
}

// absentSpecs are the specs that this cloud documents and this server does not have.
var absentSpecs = []string{"Aliyun_DES3_192"}

func specByName(name string) (keys.Spec, bool) {
	for _, s := range specNames {
		if s.name == name {
			return s.spec, true
		}
	}
	return "", false
}

func nameOfSpec(spec keys.Spec) string {
	for _, s := range specNames {
		if s.spec == spec {
			return s.name
		}
	}
	return ""
}

func visibleSpecs() []keys.Spec {
	out := make([]keys.Spec, 0, len(specNames))
	for _, s := range specNames {
		out = append(out, s.spec)
	}
	return out
}

// Visible reports whether this cloud shows the key at all. One that it does not show is not
// listed and answered as not found.
func Visible(k *keys.Key) bool {
	switch {
	case k.Hidden, k.Origin == keys.External, nameOfSpec(k.Spec) == "":
		return false
	}
	return k.Usages != 0 && k.Spec.Usages().Has(k.Usages)
}

// The names of the usages. That of HMAC keys is ours, after the operations that it is for.
const (
	usageEncrypt = "ENCRYPT/DECRYPT"
	usageSign    = "SIGN/VERIFY"
	usageMAC     = "GENERATE_MAC/VERIFY_MAC"
)

// nameOfUsage is the one usage that this cloud shows. A key that can do both, which only
// other clouds make, shows as ENCRYPT/DECRYPT and works for both.
func nameOfUsage(u keys.Usage) string {
	switch {
	case u.Has(keys.UsageEncrypt):
		return usageEncrypt
	case u.Has(keys.UsageMAC):
		return usageMAC
	default:
		return usageSign
	}
}

func usageByName(name string) (keys.Usage, bool) {
	switch name {
	case usageEncrypt:
		return keys.UsageEncrypt, true
	case usageSign:
		return keys.UsageSign, true
	case usageMAC:
		return keys.UsageMAC, true
	}
	return 0, false
}

const (
	originHere     = "Aliyun_KMS"
	originExternal = "EXTERNAL"
)

func nameOfOrigin(o keys.Origin) string {
	if o == keys.Generated {
		return originHere
	}
	return originExternal
}

type stateName struct {
	state keys.State
	name  string
}

// stateNames is every key state that this cloud shows.
var stateNames = []stateName{
	{keys.Enabled, "Enabled"},
	{keys.Disabled, "Disabled"},
	{keys.PendingDeletion, "PendingDeletion"},
	{keys.PendingImport, "PendingImport"},
}

func nameOfState(state keys.State) string {
	for _, s := range stateNames {
		if s.state == state {
			return s.name
		}
	}
	return ""
}

func isStateName(name string) bool {
	return slices.ContainsFunc(stateNames, func(s stateName) bool { return s.name == name })
}

// protectionByName reads a protection level; the core's names are the cloud's.
func protectionByName(name string) (keys.Protection, bool) {
	switch p := keys.Protection(name); p {
	case keys.Software, keys.HSM:
		return p, true
	}
	return "", false
}

func encryptionAlgorithm(name string) (keys.Algorithm, bool) {
	switch name {
	case "RSAES_OAEP_SHA_256":
		return keys.OAEPSHA256, true
	case "RSAES_OAEP_SHA_1":
		return keys.OAEPSHA1, true
	case "SM2PKE":
		return keys.SM2PKE, true
	}
	return "", false
}

func signingAlgorithm(name string) (keys.Algorithm, bool) {
	switch name {
	case "RSA_PSS_SHA_256":
		return keys.PSSSHA256, true
	case "RSA_PKCS1_SHA_256":
		return keys.PKCS1SHA256, true
	case "ECDSA_SHA_256":
		return keys.ECDSASHA256, true
	case "SM2DSA":
		return keys.SM2DSA, true
	}
	return "", false
}

// macAlgorithm maps the algorithms of HMAC keys; the core's names are the cloud's.
func macAlgorithm(name string) (keys.Algorithm, bool) {
	switch alg := keys.Algorithm(name); alg {
	case keys.MACSHA224, keys.MACSHA256, keys.MACSHA384, keys.MACSHA512, keys.MACSM3:
		return alg, true
	default:
		return "", false
	}
}
