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

// specNames is every spec that this cloud knows and this server has.
var specNames = []specName{
	{keys.AES256, "Aliyun_AES_256"},
	{keys.AES192, "Aliyun_AES_192"},
	{keys.AES128, "Aliyun_AES_128"},
	{keys.RSA2048, "RSA_2048"},
	{keys.RSA3072, "RSA_3072"},
	{keys.RSA4096, "RSA_4096"},
	{keys.ECP256, "EC_P256"},
	{keys.SECP256K1, "EC_P256K"},
}

// absentSpecs are the specs that this cloud documents and this server does not have.
var absentSpecs = []string{"Aliyun_SM4", "Aliyun_DES3_192", "EC_SM2"}

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
	case k.Origin == keys.External, nameOfSpec(k.Spec) == "":
		return false
	}
	return k.Usages == keys.UsageEncrypt || k.Usages == keys.UsageSign || k.Usages == keys.UsageEncrypt|keys.UsageSign
}

const (
	usageEncrypt = "ENCRYPT/DECRYPT"
	usageSign    = "SIGN/VERIFY"
)

// nameOfUsage is the one usage that this cloud shows. A key that can do both, which only
// other clouds make, shows as ENCRYPT/DECRYPT and works for both.
func nameOfUsage(u keys.Usage) string {
	if u.Has(keys.UsageEncrypt) {
		return usageEncrypt
	}
	return usageSign
}

func usageByName(name string) (keys.Usage, bool) {
	switch name {
	case usageEncrypt:
		return keys.UsageEncrypt, true
	case usageSign:
		return keys.UsageSign, true
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

// asymmetric maps the algorithms of asymmetric keys. Those of SM2 are documented by the cloud
// and fit no key that this server has.
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
