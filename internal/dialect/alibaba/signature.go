// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"crypto/fips140"
	"crypto/sha1" //nolint:gosec // G505: HMAC-SHA1 is what RPC signature version 1 is
	"encoding/base64"
	"net/http"
	"strings"

	"claviger/internal/identity"
	"claviger/internal/keys"
)

// claim is who a request says it is from, when, and the proof, not yet checked.
type claim struct {
	accessKey string
	action    string
	version   string
	timestamp string // as sent
	nonce     string // "" where version 1 was sent without one
	token     string
	signature string // as sent: base64 in version 1, hex in ACS3
	headers   string // ACS3: SignedHeaders as sent; "" means version 1
	batch     bool   // the body is not there yet
}

// verify checks the proof against what was received.
func (c *claim) verify(cred *identity.Credential, p *params, r *http.Request, body []byte) error {
	if c.headers == "" {
		return c.verifyV1(cred, p, r.Method)
	}
	return c.verifyACS3(cred, p, r, body)
}

// mandatoryV1 are the common parameters that version 1 cannot do without, as they are asked for.
var mandatoryV1 = [...]string{"Action", "Version", "AccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "Timestamp"}

// claimV1 reads the common parameters of RPC signature version 1. A header such as
// x-acs-action is not signed there and not looked at.
func claimV1(p *params) (claim, error) {
	if strings.EqualFold(p.value("SignatureType"), "BEARERTOKEN") || p.value("BearerToken") != "" {
		return claim{}, unsupportedScheme("bearer tokens")
	}
	if _, ok := p.get("Signature"); !ok {
		return claim{}, mandatory("Signature")
	}
	var have [len(mandatoryV1)]string
	for i, name := range mandatoryV1 {
		if have[i] = p.value(name); have[i] == "" {
			return claim{}, mandatory(name)
		}
	}
	method, scheme := have[4], have[5]
	if method != "HMAC-SHA1" {
		return claim{}, unsupportedScheme("SignatureMethod " + clip(method))
	}
	if fips140.Enforced() {
		return claim{}, unauthenticated(codeSignatureMethod, "SignatureMethod",
			"HMAC-SHA1 is not approved while FIPS 140-3 is enforced: sign with ACS3-HMAC-SHA256")
	}
	if scheme != "1.0" {
		return claim{}, unauthenticated(codeSignatureVersion, "SignatureVersion", "SignatureVersion is 1.0")
	}
	return claim{
		action: have[0], version: have[1], accessKey: have[2], signature: have[3], timestamp: have[6],
		nonce: p.value("SignatureNonce"), token: p.value("SecurityToken"),
	}, nil
}

func mandatory(name string) error {
	return refuse(keys.KindMissing, missingCommon(name), name, name+" is missing")
}

func unsupportedScheme(what string) error {
	return unauthenticated(codeSignatureMethod, "SignatureMethod",
		what+": not supported here; sign with HMAC-SHA1 (RPC signature version 1) or ACS3-HMAC-SHA256 and an AccessKey")
}

// stringToSignV1 is METHOD&%2F&pe(canonical query) over every parameter but Signature, the
// names in the order of their bytes. It lies in p's scratch space.
func stringToSignV1(method string, p *params) []byte {
	b := p.room(p.roomEncoded())
	b = append(append(b, method...), "&%2F&"...)
	first := true
	for i := range p.list {
		q := &p.list[i]
		if q.name == "Signature" {
			continue
		}
		if !first {
			b = append(b, "%26"...)
		}
		first = false
		b = appendTwice(b, q.name)
		b = append(b, "%3D"...)
		b = appendTwice(b, q.value)
	}
	p.scratch = b
	return b
}

func (c *claim) verifyV1(cred *identity.Credential, p *params, method string) error {
	toSign := stringToSignV1(method, p)
	var mac [sha1.Size + 1]byte
	n, err := base64.StdEncoding.Strict().Decode(mac[:], []byte(c.signature[:min(len(c.signature), 28)]))
	if err != nil || n != sha1.Size || len(c.signature) != 28 {
		return &keys.Error{
			Kind: keys.KindUnauthenticated, Field: "Signature",
			Hint: "Signature is not the base64 of 20 bytes",
			Err:  &mismatch{codeIncomplete, string(toSign)},
		}
	}
	if cred.VerifyMAC(identity.HMACSHA1Ampersand, toSign, mac[:sha1.Size]) {
		return nil
	}
	return &keys.Error{
		Kind: keys.KindUnauthenticated, Field: "Signature",
		Hint: "the signature is not by the AccessKey " + c.accessKey + ": compare the string to sign in the message with the client's own; if they are equal, the secret is wrong",
		Err:  &mismatch{codeMismatch, string(toSign)},
	}
}
