// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Version is the only version of Alibaba's key management API.
const Version = "2016-01-20"

const isoTime = "2006-01-02T15:04:05Z"

// AccessKey is an Alibaba access key pair.
type AccessKey struct {
	ID, Secret string
}

// V1 returns params with the common parameters of RPC signature version 1.0 and the signature for
// method added. The caller decides whether they travel as a query or as a form.
func (k AccessKey) V1(method string, params url.Values, nonce string, now time.Time) url.Values {
	signed := maps.Clone(params)
	for name, value := range map[string]string{
		"Version": Version, "AccessKeyId": k.ID, "SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0",
		"SignatureNonce": nonce, "Timestamp": now.UTC().Format(isoTime),
	} {
		signed.Set(name, value)
	}
	signed.Set("Signature", SignatureV1(method, signed, k.Secret))
	return signed
}

// StringToSignV1 is what RPC signature version 1.0 signs: the method, the path and the sorted
// parameters without Signature, each percent-encoded.
func StringToSignV1(method string, params url.Values) string {
	params = maps.Clone(params)
	params.Del("Signature")
	return method + "&" + percentEncode("/") + "&" + percentEncode(canonicalQuery(params))
}

// SignatureV1 signs what StringToSignV1 says.
func SignatureV1(method string, params url.Values, secret string) string {
	mac := hmac.New(sha1.New, []byte(secret+"&"))
	mac.Write([]byte(StringToSignV1(method, params)))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// ACS3 adds the headers of ACS3-HMAC-SHA256 for action to req, whose body is body.
func (k AccessKey) ACS3(req *http.Request, action string, body []byte, nonce string, now time.Time) {
	hash := hexSHA256(body)
	for name, value := range map[string]string{
		"x-acs-action": action, "x-acs-version": Version, "x-acs-date": now.UTC().Format(isoTime),
		"x-acs-signature-nonce": nonce, "x-acs-content-sha256": hash,
	} {
		req.Header.Set(name, value)
	}
	signed := map[string]string{"host": req.URL.Host}
	for name := range req.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-acs-") || name == "content-type" {
			signed[name] = strings.TrimSpace(req.Header.Get(name))
		}
	}
	names, signature := signatureACS3(req.Method, req.URL.Query(), signed, hash, k.Secret)
	req.Header.Set("Authorization", "ACS3-HMAC-SHA256 Credential="+k.ID+",SignedHeaders="+names+",Signature="+signature)
}

// signatureACS3 returns the SignedHeaders list and the signature in hexadecimal.
func signatureACS3(method string, query url.Values, headers map[string]string, bodyHash, secret string) (names, signature string) {
	canonical, names := canonicalACS3(method, query, headers, bodyHash)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hexSHA256([]byte(canonical))))
	return names, hex.EncodeToString(mac.Sum(nil))
}

func canonicalACS3(method string, query url.Values, headers map[string]string, bodyHash string) (request, names string) {
	sorted := slices.Sorted(maps.Keys(headers))
	names = strings.Join(sorted, ";")
	var lines strings.Builder
	for _, name := range sorted {
		lines.WriteString(name + ":" + headers[name] + "\n")
	}
	return strings.Join([]string{method, "/", canonicalQuery(query), lines.String(), names, bodyHash}, "\n"), names
}

// canonicalQuery sorts by the raw name and encodes as RFC 3986 does; every name has one value.
func canonicalQuery(params url.Values) string {
	pairs := make([]string, 0, len(params))
	for _, name := range slices.Sorted(maps.Keys(params)) {
		pairs = append(pairs, percentEncode(name)+"="+percentEncode(params.Get(name)))
	}
	return strings.Join(pairs, "&")
}

// percentEncode keeps RFC 3986's unreserved characters only: a space is %20, * is %2A, ~ stays.
func percentEncode(s string) string {
	return strings.NewReplacer("+", "%20", "*", "%2A").Replace(url.QueryEscape(s))
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
