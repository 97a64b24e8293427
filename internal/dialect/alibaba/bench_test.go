// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"claviger/internal/audit"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// memory is an answer as bytes, status line and headers included.
type memory struct {
	header http.Header
	out    bytes.Buffer
}

func (m *memory) Header() http.Header { return m.header }

func (m *memory) WriteHeader(status int) {
	fmt.Fprintf(&m.out, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	_ = m.header.Write(&m.out)
	m.out.WriteString("\r\n")
}

func (m *memory) Write(b []byte) (int, error) { return m.out.Write(b) }

// BenchmarkDataPath measures a data call from the request's bytes to the answer's, signed
// anew for each so that its nonce is new; signing is not measured.
func BenchmarkDataPath(b *testing.B) {
	c := newCloud(b, kmstest.With(func(cfg *kms.Config) { cfg.Audit = audit.Discard{} }))
	handler := New(Config{
		Service: c.Service, Regions: map[keys.Region]string{kmstest.Region: testRegion}, Now: c.Clock.Now, Rand: rand.Reader,
		Log: slog.New(slog.DiscardHandler),
	}).Handler(kmstest.Region)
	aes, ec, rsa := c.newKey(b), c.newKey(b, "KeySpec=EC_P256"), c.newKey(b, "KeySpec=RSA_2048")
	sign := func(key, algorithm string) []string {
		return []string{"KeyId=" + key, "KeyVersionId=" + c.oneVersion(b, key), "Algorithm=" + algorithm, "Digest=" + aDigest}
	}
	small, large := b64(make([]byte, 32)), b64(make([]byte, 4096))
	blob := func(plaintext string) string {
		return c.must(b, "Encrypt", "KeyId="+aes, "Plaintext="+plaintext).at("CiphertextBlob")
	}
	for _, op := range []struct {
		name, action string
		params       []string
	}{
		{"Encrypt-32B", "Encrypt", []string{"KeyId=" + aes, "Plaintext=" + small}},
		{"Encrypt-4KiB", "Encrypt", []string{"KeyId=" + aes, "Plaintext=" + large}},
		{"EncryptInContext-32B", "Encrypt", []string{"KeyId=" + aes, "Plaintext=" + small, `EncryptionContext={"tenant":"a","purpose":"b"}`}},
		{"Decrypt-32B", "Decrypt", []string{"CiphertextBlob=" + blob(small)}},
		{"Decrypt-4KiB", "Decrypt", []string{"CiphertextBlob=" + blob(large)}},
		{"GenerateDataKey", "GenerateDataKey", []string{"KeyId=" + aes}},
		{"Sign-P256", "AsymmetricSign", sign(ec, "ECDSA_SHA_256")},
		{"Sign-RSA2048", "AsymmetricSign", sign(rsa, "RSA_PSS_SHA_256")},
	} {
		for scheme, request := range map[string]func(string, []string) []byte{"V1": c.bytesV1, "ACS3": c.bytesACS3} {
			b.Run(op.name+"/"+scheme, func(b *testing.B) {
				b.ReportAllocs()
				const batch = 1024
				var requests [][]byte
				for i := range b.N {
					if i%batch == 0 {
						b.StopTimer()
						requests = requests[:0]
						for range min(batch, b.N-i) {
							requests = append(requests, request(op.action, op.params))
						}
						b.StartTimer()
					}
					serve(b, handler, requests[i%batch])
				}
			})
		}
	}
}

func serve(b *testing.B, handler http.Handler, request []byte) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil {
		b.Fatal(err)
	}
	m := memory{header: http.Header{}}
	handler.ServeHTTP(&m, r)
	if !bytes.HasPrefix(m.out.Bytes(), []byte("HTTP/1.1 200 ")) {
		b.Fatalf("%s", m.out.Bytes())
	}
}

func (c *cloud) bytesV1(action string, params []string) []byte {
	values := c.common(c.Tenant, action)
	set(values, params)
	values.Set("Signature", signV1(http.MethodPost, c.Tenant.Secret, values))
	return []byte("POST /?" + values.Encode() + " HTTP/1.1\r\nHost: " + c.host + "\r\nUser-Agent: bench\r\nContent-Length: 0\r\n\r\n")
}

func (c *cloud) bytesACS3(action string, params []string) []byte {
	values := url.Values{}
	set(values, params)
	h := c.headersACS3(http.MethodPost, c.Tenant, action, values, "", nil)
	var out strings.Builder
	out.WriteString("POST /?" + values.Encode() + " HTTP/1.1\r\nHost: " + c.host + "\r\nUser-Agent: bench\r\nContent-Length: 0\r\n")
	for _, name := range slices.Sorted(maps.Keys(h)) {
		out.WriteString(name + ": " + h.Get(name) + "\r\n")
	}
	return []byte(out.String() + "\r\n")
}
