// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"crypto"
	"slices"
	"strings"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// The projection: what OCI calls the things that it shows, and what it does not show.

// named is one row of a table from OCI's names to ours.
type named[T any] struct {
	name  string
	value T
}

func byName[T any](table []named[T], name string) (value T, ok bool) {
	for i := range table {
		if table[i].name == name {
			return table[i].value, true
		}
	}
	return value, false
}

func nameOf[T comparable](table []named[T], value T) string {
	for i := range table {
		if table[i].value == value {
			return table[i].name
		}
	}
	return ""
}

func listNames[T any](table []named[T]) string {
	out := make([]string, len(table))
	for i := range table {
		out[i] = table[i].name
	}
	return strings.Join(out, ", ")
}

// shape is a spec as OCI writes it: algorithm, length in bytes, and a curve for ECDSA.
type shape struct {
	spec      keys.Spec
	algorithm string
	length    int
	curve     string
}

// shapes lists every spec that OCI shows. SM2, SM4, secp256k1 and HMAC are not in it: keys of these
// are not listed and answer as not found. Usages do not matter: an RSA key is shown whichever of
// its usages it was made with, and so is a key whose material is yet to come or came from outside.
var shapes = []shape{
	{keys.AES128, "AES", 16, ""},
	{keys.AES192, "AES", 24, ""},
	{keys.AES256, "AES", 32, ""},
	{keys.RSA2048, "RSA", 256, ""},
	{keys.RSA3072, "RSA", 384, ""},
	{keys.RSA4096, "RSA", 512, ""},
	{keys.ECP256, "ECDSA", 32, "NIST_P256"},
	{keys.ECP384, "ECDSA", 48, "NIST_P384"},
	{keys.ECP521, "ECDSA", 66, "NIST_P521"},
}

func shapeOf(s keys.Spec) (shape, bool) {
	i := slices.IndexFunc(shapes, func(sh shape) bool { return sh.spec == s })
	if i < 0 {
		return shape{}, false
	}
	return shapes[i], true
}

// Visible reports whether OCI shows a key. One that it does not show is not listed, and answered
// as if it were not there.
func Visible(k *keys.Key) bool {
	_, ok := shapeOf(k.Spec)
	return ok
}

// specsOf lists the specs with the given algorithm, length and curve; zero values select all.
func specsOf(algorithm string, length int, curve string) []keys.Spec {
	var out []keys.Spec
	for _, sh := range shapes {
		if (algorithm == "" || algorithm == sh.algorithm) && (length == 0 || length == sh.length) && (curve == "" || curve == sh.curve) {
			out = append(out, sh.spec)
		}
	}
	return out
}

var algorithmNames = []named[string]{{"AES", "AES"}, {"RSA", "RSA"}, {"ECDSA", "ECDSA"}}

var curveNames = []named[string]{{"NIST_P256", "NIST_P256"}, {"NIST_P384", "NIST_P384"}, {"NIST_P521", "NIST_P521"}}

// external is what OCI documents and this server does not have: vaults and keys in a third
// party's key manager.
const external = "EXTERNAL"

var vaultTypes = []named[keys.VaultKind]{
	{"DEFAULT", keys.SharedVault},
	{"VIRTUAL_PRIVATE", keys.PrivateVault},
	{external, external},
}

var protectionModes = []named[keys.Protection]{
	{"HSM", keys.HSM},
	{"SOFTWARE", keys.Software},
	{external, external},
}

// shown is the state to show: what is being done, if anything is, over what may be done.
func shown(busy, state keys.State) keys.State {
	if busy != "" {
		return busy
	}
	return state
}

// stateName is a state of a vault, key or version. A key that waits for its material is shown as
// disabled: OCI has no such state, and nothing can be done with it but what a disabled key allows.
func stateName(s keys.State) string {
	if s == keys.PendingImport {
		return string(keys.Disabled)
	}
	return string(s)
}

func originName(o keys.Origin) string {
	if o == keys.Generated {
		return "INTERNAL"
	}
	return external
}

// displayName is a key's name. Keys made through an API without such names go by their id.
func displayName(k *keys.Key) string {
	if k.Name == "" {
		return k.ID.String()
	}
	return k.Name
}

// versionState is what OCI shows of a version: its own state, and deleted with its key.
func versionState(v *kms.Version) keys.State {
	if v.OfKey.State == keys.Deleted {
		return keys.Deleted
	}
	return v.State
}

var encryptionAlgorithms = []named[keys.Algorithm]{
	{"AES_256_GCM", keys.Envelope},
	{"RSA_OAEP_SHA_1", keys.OAEPSHA1},
	{"RSA_OAEP_SHA_256", keys.OAEPSHA256},
}

// signing is a signature algorithm with the hash that it takes.
type signing struct {
	algorithm keys.Algorithm
	hash      crypto.Hash
}

var signingAlgorithms = []named[signing]{
	{"SHA_224_RSA_PKCS_PSS", signing{keys.PSSSHA224, crypto.SHA224}},
	{"SHA_256_RSA_PKCS_PSS", signing{keys.PSSSHA256, crypto.SHA256}},
	{"SHA_384_RSA_PKCS_PSS", signing{keys.PSSSHA384, crypto.SHA384}},
	{"SHA_512_RSA_PKCS_PSS", signing{keys.PSSSHA512, crypto.SHA512}},
	{"SHA_224_RSA_PKCS1_V1_5", signing{keys.PKCS1SHA224, crypto.SHA224}},
	{"SHA_256_RSA_PKCS1_V1_5", signing{keys.PKCS1SHA256, crypto.SHA256}},
	{"SHA_384_RSA_PKCS1_V1_5", signing{keys.PKCS1SHA384, crypto.SHA384}},
	{"SHA_512_RSA_PKCS1_V1_5", signing{keys.PKCS1SHA512, crypto.SHA512}},
	{"ECDSA_SHA_256", signing{keys.ECDSASHA256, crypto.SHA256}},
	{"ECDSA_SHA_384", signing{keys.ECDSASHA384, crypto.SHA384}},
	{"ECDSA_SHA_512", signing{keys.ECDSASHA512, crypto.SHA512}},
}

// messageTypes tells whether the message of a signature is its digest already.
var messageTypes = []named[bool]{{"RAW", false}, {"DIGEST", true}}
