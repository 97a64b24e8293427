// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // G505: HMAC-SHA1 is what RPC signature version 1 is
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	alibabaVersion = "2016-01-20"
	isoTime        = "2006-01-02T15:04:05Z"
	emptyHash      = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// AccessKey is an Alibaba access key pair.
type AccessKey struct{ ID, Secret string }

// encode percent-encodes as RFC 3986 does, which both schemes of Alibaba sign.
func encode(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// query is the canonical query of parameters: sorted by name and percent-encoded.
func query(params map[string]string) string {
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	pairs := make([]string, len(names))
	for i, name := range names {
		pairs[i] = encode(name) + "=" + encode(params[name])
	}
	return strings.Join(pairs, "&")
}

// form is a request of one of Alibaba's schemes but for what is fresh in each: nonce, time and
// signature.
type form interface {
	// append appends a whole request to b.
	append(b []byte, s *signer, nonce []byte, stamp string) []byte
}

// signer holds what signing uses again and again. It belongs to one goroutine.
type signer struct {
	mac    hash.Hash
	sha    hash.Hash
	text   []byte
	sum    [sha256.Size]byte
	hexSum [2 * sha256.Size]byte
	prefix string // of nonces: nobody else has it
	count  uint64
	nonce  []byte
	second int64
	stamp  string
}

func newSigner(d Dialect, key AccessKey, prefix string) *signer {
	s := &signer{prefix: prefix, sha: sha256.New()}
	if d == V1 {
		s.mac = hmac.New(sha1.New, []byte(key.Secret+"&"))
	} else {
		s.mac = hmac.New(sha256.New, []byte(key.Secret))
	}
	return s
}

// fresh is a nonce that was not used before, and the time of signing.
func (s *signer) fresh(now time.Time) (nonce []byte, stamp string) {
	s.count++
	s.nonce = strconv.AppendUint(append(s.nonce[:0], s.prefix...), s.count, 16)
	if second := now.Unix(); second != s.second {
		s.second, s.stamp = second, now.UTC().Format(isoTime)
	}
	return s.nonce, s.stamp
}

// formV1 is a request of RPC signature version 1.0, its parameters in the query as the SDKs send
// them. The parameters lie in three parts around the nonce and the time, each once as they are sent
// and once as they are signed, which is encoded again.
type formV1 struct {
	host   string
	sent   [3]string // before the nonce, between nonce and time, after the time
	signed [3]string
}

func newFormV1(host string, key AccessKey, action string, params map[string]string) *formV1 {
	all := map[string]string{
		"Action": action, "Version": alibabaVersion, "Format": "JSON", "AccessKeyId": key.ID, "SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0",
		"SignatureNonce": "\x00", "Timestamp": "\x00",
	}
	for name, value := range params {
		all[name] = value
	}
	f := &formV1{host: host}
	parts := strings.Split(query(all), encode("\x00")) // SignatureNonce comes before Timestamp
	copy(f.sent[:], parts)
	for i, part := range parts {
		f.signed[i] = encode(part)
	}
	return f
}

func (f *formV1) append(b []byte, s *signer, nonce []byte, stamp string) []byte {
	s.text = append(append(s.text[:0], "POST&%2F&"...), f.signed[0]...)
	s.text = append(append(s.text, nonce...), f.signed[1]...)
	s.text = append(appendStamp(s.text, stamp, "%253A"), f.signed[2]...)
	s.mac.Reset()
	s.mac.Write(s.text)
	var text [28]byte
	base64.StdEncoding.Encode(text[:], s.mac.Sum(s.sum[:0]))

	b = append(append(b, "POST /?"...), f.sent[0]...)
	b = append(append(b, nonce...), f.sent[1]...)
	b = append(appendStamp(b, stamp, "%3A"), f.sent[2]...)
	b = append(b, "&Signature="...)
	for _, c := range text {
		switch c {
		case '+':
			b = append(b, "%2B"...)
		case '/':
			b = append(b, "%2F"...)
		case '=':
			b = append(b, "%3D"...)
		default:
			b = append(b, c)
		}
	}
	b = append(append(b, " HTTP/1.1\r\nHost: "...), f.host...)
	return append(b, "\r\nContent-Length: 0\r\n\r\n"...)
}

// appendStamp appends a time with its colons as they are encoded.
func appendStamp(b []byte, stamp, colon string) []byte {
	for i := range len(stamp) {
		if stamp[i] == ':' {
			b = append(b, colon...)
		} else {
			b = append(b, stamp[i])
		}
	}
	return b
}

// formACS3 is a request of ACS3-HMAC-SHA256, its parameters in the query as the SDKs send them.
type formACS3 struct {
	head   string // of the request, to x-acs-date
	signed string // of the canonical request, to x-acs-date's value
	key    string
}

const (
	signedACS3 = "accept;host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
	tailACS3   = "\nx-acs-version:" + alibabaVersion + "\n\n" + signedACS3 + "\n" + emptyHash
)

func newFormACS3(host string, key AccessKey, action string, params map[string]string) *formACS3 {
	q := query(params)
	return &formACS3{
		head: "POST /?" + q + " HTTP/1.1\r\nhost: " + host + "\r\naccept: application/json\r\ncontent-length: 0\r\nx-acs-action: " + action +
			"\r\nx-acs-content-sha256: " + emptyHash + "\r\nx-acs-version: " + alibabaVersion + "\r\nx-acs-date: ",
		signed: "POST\n/\n" + q + "\naccept:application/json\nhost:" + host + "\nx-acs-action:" + action + "\nx-acs-content-sha256:" + emptyHash + "\nx-acs-date:",
		key:    key.ID,
	}
}

func (f *formACS3) append(b []byte, s *signer, nonce []byte, stamp string) []byte {
	s.text = append(append(s.text[:0], f.signed...), stamp...)
	s.text = append(append(s.text, "\nx-acs-signature-nonce:"...), nonce...)
	s.text = append(s.text, tailACS3...)
	s.sha.Reset()
	s.sha.Write(s.text)
	hex.Encode(s.hexSum[:], s.sha.Sum(s.sum[:0]))
	s.text = append(append(s.text[:0], "ACS3-HMAC-SHA256\n"...), s.hexSum[:]...)
	s.mac.Reset()
	s.mac.Write(s.text)
	hex.Encode(s.hexSum[:], s.mac.Sum(s.sum[:0]))

	b = append(append(b, f.head...), stamp...)
	b = append(append(b, "\r\nx-acs-signature-nonce: "...), nonce...)
	b = append(append(b, "\r\nAuthorization: ACS3-HMAC-SHA256 Credential="...), f.key...)
	b = append(b, ",SignedHeaders="+signedACS3+",Signature="...)
	return append(append(b, s.hexSum[:]...), "\r\n\r\n"...)
}
