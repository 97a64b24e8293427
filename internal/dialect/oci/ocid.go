// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"claviger/internal/keys"
)

// An OCID is ocid1.<type>.oc1.<region>.<segments…>.<unique>. Its unique part has 60 characters:
//
//	8   of the region's hash, the same for all of a region ("aaaaaaaa" outside of regions)
//	26  the record's 16 bytes
//	26  of SHA-256(type ‖ the record's 16 bytes), which tells a generated OCID from any other
//
// A vault and its keys and versions have the vault's prefix before it, a version also its key's
// segment: 13 characters of SHA-256 of that record's 16 bytes. Everything is base32 (RFC 4648
// §6) in lower case without padding.

// realm is the commercial realm, the only one we name things in.
const realm = "oc1"

// Types of OCIDs, as written in them.
const (
	typeTenancy     = "tenancy"
	typeCompartment = "compartment"
	typeUser        = "user"
	typeVault       = "vault"
	typeKey         = "key"
	typeKeyVersion  = "keyversion"
	typeWorkRequest = "workrequest"
)

// maxName is the most characters of an OCID, as Oracle documents for its own.
const maxName = 255

const (
	regionChars  = 8  // of 5 bytes
	segmentChars = 13 // of 8 bytes
	idChars      = 26 // of 16 bytes
	uniqueChars  = regionChars + idChars + idChars
)

// noRegion begins the unique part of what belongs to no region.
const noRegion = "aaaaaaaa"

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ocid is what can be read from an OCID that we generated. The region, the region's hash and
// the segments still have to be compared with the record's.
type ocid struct {
	typ string // one of the types above
	id  keys.ID
}

// parseOCID reads an OCID that was generated here: pure, and without a look at the region and
// the parents. Anything else, OCIDs of Oracle included, is not ok.
func parseOCID(s string) (o ocid, ok bool) {
	rest, ok := strings.CutPrefix(s, "ocid1.")
	if !ok || len(s) > maxName {
		return ocid{}, false
	}
	typ, rest, _ := strings.Cut(rest, ".")
	gotRealm, rest, _ := strings.Cut(rest, ".")
	region, rest, ok := strings.Cut(rest, ".")
	if !ok || gotRealm != realm {
		return ocid{}, false
	}
	segments := 0
	switch typ {
	case typeTenancy, typeCompartment, typeUser:
		if region != "" || !strings.HasPrefix(rest, noRegion) {
			return ocid{}, false
		}
	case typeWorkRequest:
	case typeVault, typeKey:
		segments = 1
	case typeKeyVersion:
		segments = 2
	default:
		return ocid{}, false
	}
	if regional := segments > 0 || typ == typeWorkRequest; regional && region == "" {
		return ocid{}, false
	}
	for range segments {
		var segment string
		if segment, rest, ok = strings.Cut(rest, "."); !ok || len(segment) != segmentChars {
			return ocid{}, false
		}
	}
	id, ok := parseUnique(typ, rest)
	return ocid{typ: typ, id: id}, ok
}

func parseUnique(typ, s string) (keys.ID, bool) {
	if len(s) != uniqueChars {
		return keys.ID{}, false
	}
	var id keys.ID
	var text [idChars]byte
	copy(text[:], s[regionChars:])
	if n, err := base32Lower.Decode(id[:], text[:]); err != nil || n != len(id) {
		return keys.ID{}, false
	}
	// The last character of an id has two bits to spare, so that it must be written again to be
	// told from its three twins.
	var again [2 * idChars]byte
	if string(appendIdentity(again[:0], typ, id)) != s[regionChars:] {
		return keys.ID{}, false
	}
	return id, true
}

// appendIdentity appends the part of an OCID that its type and id decide.
func appendIdentity(b []byte, typ string, id keys.ID) []byte {
	b = base32Lower.AppendEncode(b, id[:])
	var in [16 + len(typeCompartment)]byte
	n := copy(in[:], typ)
	n += copy(in[n:], id[:])
	sum := sha256.Sum256(in[:n])
	return base32Lower.AppendEncode(b, sum[:16])
}

// appendSegment appends the segment that stands for a parent.
func appendSegment(b []byte, parent keys.ID) []byte {
	sum := sha256.Sum256(parent[:])
	return base32Lower.AppendEncode(b, sum[:8])
}

func appendRegionHash(b []byte, region string) []byte {
	sum := sha256.Sum256([]byte(region))
	return base32Lower.AppendEncode(b, sum[:5])
}

// newGlobalName renders the OCID of what belongs to no region.
func newGlobalName(typ string, id keys.ID) string {
	b := make([]byte, 0, 100)
	b = append(b, "ocid1."+typ+"."+realm+".."+noRegion...)
	return string(appendIdentity(b, typ, id))
}
