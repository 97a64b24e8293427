// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// APIKey is an OCI API signing key: its name TENANCY/USER/FINGERPRINT and the private half.
// With no private half requests are not signed.
type APIKey struct {
	ID  string
	Key *rsa.PrivateKey
}

// sign appends a whole request to b: OCI's signature version 1 over what Oracle's SDKs sign. The
// answer to the same request at the same second has the same bytes, since the scheme has no nonce.
func (k *APIKey) sign(b []byte, method, path, host string, body []byte, now time.Time) ([]byte, error) {
	date := now.UTC().Format(http.TimeFormat)
	names := "date (request-target) host"
	signed := "date: " + date + "\n(request-target): " + lower(method) + " " + path + "\nhost: " + host
	head := method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\nDate: " + date + "\r\n"
	if method != http.MethodGet {
		sum := sha256.Sum256(body)
		digest, length := base64.StdEncoding.EncodeToString(sum[:]), strconv.Itoa(len(body))
		names += " content-length content-type x-content-sha256"
		signed += "\ncontent-length: " + length + "\ncontent-type: application/json\nx-content-sha256: " + digest
		head += "Content-Length: " + length + "\r\nContent-Type: application/json\r\nX-Content-Sha256: " + digest + "\r\n"
	}
	if k.Key == nil {
		return append(append(append(b, head...), "\r\n"...), body...), nil
	}
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, k.Key, crypto.SHA256, sum[:])
	if err != nil {
		return nil, fmt.Errorf("sign request: %w", err)
	}
	b = append(append(b, head...), `Authorization: Signature version="1",headers="`...)
	b = append(append(b, names...), `",keyId="`...)
	b = append(append(b, k.ID...), `",algorithm="rsa-sha256",signature="`...)
	b = append(base64.StdEncoding.AppendEncode(b, signature), "\"\r\n\r\n"...)
	return append(b, body...), nil
}

func lower(method string) string {
	if method == http.MethodGet {
		return "get"
	}
	return "post"
}
