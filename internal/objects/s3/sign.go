// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// AWS Signature Version 4 for S3, in the Authorization header ("Authenticating Requests: Using the
// Authorization Header", Amazon S3 API Reference). The payload's hash is always signed.

const (
	algorithm  = "AWS4-HMAC-SHA256"
	dateForm   = "20060102T150405Z"
	hashHeader = "X-Amz-Content-Sha256"
	dateHeader = "X-Amz-Date"
)

// signer signs requests to one service with one credential.
type signer struct {
	accessKey, secretKey string
	region               string
}

// sign adds the date, the payload's hash (lower-case hexadecimal) and the signature to a request.
// Its path is sent as it is signed: r.URL comes from [pathOf].
func (s *signer) sign(r *http.Request, payload string, now time.Time) {
	now = now.UTC()
	r.Header.Set(dateHeader, now.Format(dateForm))
	r.Header.Set(hashHeader, payload)
	names, headers := canonicalHeaders(r)
	canonical := strings.Join([]string{
		r.Method, r.URL.EscapedPath(), canonicalQuery(r.URL), headers, names, payload,
	}, "\n")
	scope := now.Format("20060102") + "/" + s.region + "/s3/aws4_request"
	text := strings.Join([]string{algorithm, now.Format(dateForm), scope, hexSHA256([]byte(canonical))}, "\n")
	key := []byte("AWS4" + s.secretKey)
	for _, part := range []string{now.Format("20060102"), s.region, "s3", "aws4_request"} {
		key = mac(key, part)
	}
	r.Header.Set("Authorization", algorithm+" Credential="+s.accessKey+"/"+scope+
		",SignedHeaders="+names+",Signature="+hex.EncodeToString(mac(key, text)))
}

// canonicalHeaders are the names and the lines of the host and of every header of the request.
func canonicalHeaders(r *http.Request) (names, lines string) {
	values := map[string]string{"host": r.URL.Host}
	if r.Host != "" {
		values["host"] = r.Host
	}
	for name, v := range r.Header {
		values[strings.ToLower(name)] = strings.Join(strings.Fields(strings.Join(v, ",")), " ")
	}
	sorted := make([]string, 0, len(values))
	for name := range values {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	var b strings.Builder
	for _, name := range sorted {
		b.WriteString(name + ":" + values[name] + "\n")
	}
	return strings.Join(sorted, ";"), b.String()
}

func canonicalQuery(u *url.URL) string {
	var parts []string
	for name, values := range u.Query() {
		for _, v := range values {
			parts = append(parts, escape(name, false)+"="+escape(v, false))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "&")
}

// escape encodes every byte but the unreserved characters of RFC 3986 §2.3; with path also the
// slash stays.
func escape(s string, path bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("-_.~", c) >= 0, path && c == '/':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
